package setup

import "slices"

// Kind is whose first steps a list is of.
type Kind string

// The lists there are.
const (
	Platform  Kind = "platform"  // of who looks after the installation
	Developer Kind = "developer" // of everybody else
)

// The steps' names.
const (
	Password    = "password"
	Team        = "team"
	Project     = "project"
	Environment = "environment"
	Resource    = "resource"
	Colleague   = "colleague"
	SecondAdmin = "second-administrator"
	Guardrails  = "guardrails"
	Backup      = "backup"
	Membership  = "membership"
	Request     = "request"
)

// Step is one thing to do first.
type Step struct {
	Name    string
	Title   string // what to do
	About   string // what it is good for
	Href    string // the page where it is done; "" when there is none
	Command string // the command that does it
	Done    bool
}

// List is somebody's first steps, in their order.
type List struct {
	Kind      Kind
	Steps     []Step
	Dismissed bool // they do not want to see it
}

// Done counts what is done.
func (l List) Done() (n int) {
	for _, s := range l.Steps {
		if s.Done {
			n++
		}
	}
	return n
}

// Complete tells whether all is done.
func (l List) Complete() bool { return l.Done() == len(l.Steps) }

// Has tells whether a step is done.
func (l List) Has(name string) bool {
	return slices.ContainsFunc(l.Steps, func(s Step) bool { return s.Name == name && s.Done })
}

// Next is the first step that is not done.
func (l List) Next() (Step, bool) {
	i := slices.IndexFunc(l.Steps, func(s Step) bool { return !s.Done })
	if i < 0 {
		return Step{}, false
	}
	return l.Steps[i], true
}

// Fresh tells whether the installation is still without anything of its own:
// the first run begins there.
func (l List) Fresh() bool {
	return l.Kind == Platform && !l.Has(Project) && !l.Has(Environment) && !l.Has(Resource)
}

var platformSteps = []Step{
	{Name: Password, Title: "Set your password", About: "The sign-in link works once. From then on you sign in with a password.", Href: "/start?step=password", Command: "fairlead password"},
	{Name: Team, Title: "Make the first team", About: "Teams own projects; who is in one may see and do what their role says.", Href: "/start?step=place", Command: "fairlead team create NAME"},
	{Name: Project, Title: "Make a project", About: "It holds what a team builds.", Href: "/start?step=place", Command: "fairlead project create NAME --team TEAM"},
	{Name: Environment, Title: "Make an environment", About: "Development, staging or production: rules differ by its class.", Href: "/start?step=place", Command: "fairlead env create NAME --project PROJECT"},
	{Name: Resource, Title: "Get the first resource", About: "Ask for something from the catalogue, and see it come to be.", Href: "/start?step=request", Command: "fairlead request TEMPLATE NAME --wait"},
	{Name: Colleague, Title: "Invite a colleague", About: "They sign in with a link of their own, and see what their team has.", Href: "/start?step=colleague", Command: "fairlead user create NAME --link"},
	{Name: SecondAdmin, Title: "Have a second administrator", About: "So that nobody is locked out when one is away.", Href: "/users", Command: "fairlead user grant NAME platform-admin"},
	{Name: Guardrails, Title: "Put guardrails in force", About: "The baseline is shipped; it is not in force before you say so.", Href: "/guardrails", Command: "fairlead policy activate baseline@1.0.0"},
	{Name: Backup, Title: "Make a first backup", About: "One file with everything, encrypted; restore it once, to know that you can.", Href: "/docs/configuration", Command: "fairlead backup --passphrase-file FILE"},
}

var developerSteps = []Step{
	{Name: Membership, Title: "Be in a team", About: "A team's owner adds you: give them your name.", Href: "/account"},
	{Name: Environment, Title: "Have an environment", About: "Where what you ask for will live.", Href: "/projects", Command: "fairlead get environments"},
	{Name: Request, Title: "Ask for something", About: "Choose from the catalogue: you see what it costs and what it takes before you ask.", Href: "/create", Command: "fairlead request TEMPLATE NAME --wait"},
}
