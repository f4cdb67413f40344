package feedbackcli

import (
	"strconv"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type (
	said = apiclient.Feedback
	sum  = apiclient.FeedbackSum
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	cmd := &cobra.Command{Use: "feedback", Short: "What people say of the portal's pages", GroupID: clikit.GroupServer}
	cmd.AddCommand(list(c), pages(c), give(c))
	return []*cobra.Command{cmd}
}

func list(c *clikit.CLI) *cobra.Command {
	var page string
	var words, not bool
	var limit int
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List what was said, the newest first", Args: clikit.Args(0, 0),
		Example: "  fairlead feedback ls --not-helpful --words\n  fairlead feedback ls --page '/create/{template}'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(limit, func(limit *int64, cursor *string) ([]said, *string, error) {
				p := &apiclient.ListFeedbackParams{Limit: limit, Cursor: cursor, Page: clikit.Some(page), Words: clikit.Some(words)}
				if not {
					p.Helpful = clikit.Some(apiclient.ListFeedbackParamsHelpful("false"))
				}
				got, err := clikit.Read[apiclient.PageFeedback](s.ListFeedback(cmd.Context(), p))
				return got.Items, got.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(f said) string { return f.ID }, "nobody has said anything",
				clikit.Column[said]{Title: "AT", Cell: func(f said) string { return clikit.Moment(f.At) }},
				clikit.Column[said]{Title: "PAGE", Cell: func(f said) string { return f.Page }},
				clikit.Column[said]{Title: "HELPFUL", Cell: func(f said) string { return yesNo(f.Helpful) }},
				clikit.Column[said]{Title: "WHO", Cell: func(f said) string { return f.User }},
				clikit.Column[said]{Title: "WORDS", Cell: func(f said) string { return clikit.Or(f.Words) }})
		},
	}
	cmd.Flags().StringVar(&page, "page", "", "of this page alone, as /projects/{project}")
	cmd.Flags().BoolVar(&words, "words", false, "only what was said with words")
	cmd.Flags().BoolVar(&not, "not-helpful", false, "only by who was not helped")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func pages(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "pages", Short: "How helpful each page is: what helps least first", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]sum, *string, error) {
				got, err := clikit.Read[apiclient.PageFeedbackSum](s.ListFeedbackPages(cmd.Context(), &apiclient.ListFeedbackPagesParams{Limit: limit, Cursor: cursor}))
				return got.Items, got.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(f sum) string { return f.Page }, "nobody has said anything",
				clikit.Column[sum]{Title: "PAGE", Cell: func(f sum) string { return f.Page }},
				clikit.Column[sum]{Title: "HELPFUL", Cell: func(f sum) string { return strconv.FormatInt(f.Helpful, 10) }},
				clikit.Column[sum]{Title: "NOT", Cell: func(f sum) string { return strconv.FormatInt(f.NotHelpful, 10) }},
				clikit.Column[sum]{Title: "WORDS", Cell: func(f sum) string { return strconv.FormatInt(f.Words, 10) }},
				clikit.Column[sum]{Title: "LAST", Cell: func(f sum) string { return clikit.Age(f.Last) }})
		},
	}
}

func give(c *clikit.CLI) *cobra.Command {
	var helpful, not bool
	var words string
	cmd := &cobra.Command{
		Use: "give PAGE", Short: "Say whether a page of the portal is helpful", Args: clikit.Args(1, 1),
		Example: "  fairlead feedback give '/create/{template}' --not-helpful --words 'what is a lease?'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if helpful == not {
				return clikit.Usage("is it helpful?").WithHint("add --helpful or --not-helpful")
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			f, err := clikit.Read[said](s.GiveFeedback(cmd.Context(), apiclient.GiveFeedbackJSONRequestBody{Page: args[0], Helpful: helpful, Words: clikit.Some(words)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, f, f.ID, func(t *clikit.Text) { t.Line("thank you") })
		},
	}
	cmd.Flags().BoolVar(&helpful, "helpful", false, "it is")
	cmd.Flags().BoolVar(&not, "not-helpful", false, "it is not")
	cmd.Flags().StringVar(&words, "words", "", "why")
	return cmd
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
