package app

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apidoc"
	"fairlead/internal/app/api"
)

// openapiCommand prints the API's document, from the operations themselves.
func openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of the API", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := apidoc.JSON(api.Describe(Version))
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(doc)
			return err
		},
	}
}
