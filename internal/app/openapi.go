package app

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/spf13/cobra"

	"fairlead/internal/apidoc"
	"fairlead/internal/httpx"
)

// openapiCommand prints the API's document, from the operations themselves;
// the client is generated from it.
func openapiCommand() *cobra.Command {
	var old bool
	cmd := &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of the API", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			render := apidoc.JSON
			if old {
				render = apidoc.JSON30
			}
			doc, err := render(Describe())
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(doc)
			return err
		},
	}
	cmd.Flags().BoolVar(&old, "v3.0", false, "as OpenAPI 3.0, for generators that know no 3.1")
	return cmd
}

// Describe gives the API with every operation and nothing behind it.
func Describe() huma.API {
	api, _ := httpx.New(httpx.Options{Version: Version})
	(&App{}).registerAPI(api)
	return api
}
