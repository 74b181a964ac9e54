package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
)

// Officer is a row of the node's own table of officers: who works here, in which unit, with which roles, from
// when until when.
type Officer struct {
	// Account is the name the provider vouches for, unique there across all agencies; compared in lower case.
	Account string
	Name    string
	// Title is the position as it stands under a signature, "Phó Chủ tịch".
	Title string
	// Agency is the code of the agency or unit, such as "H36.14".
	Agency string
	Roles  []string
	// ValidFrom and ValidTo bound the employment; zero means without bound. ValidTo itself is the first
	// moment without access.
	ValidFrom, ValidTo time.Time
}

// Active reports whether the officer works here at the given time.
func (o Officer) Active(now time.Time) bool {
	return !now.Before(o.ValidFrom) && (o.ValidTo.IsZero() || now.Before(o.ValidTo))
}

// NormalAccount returns the form in which accounts are stored and compared.
func NormalAccount(account string) string {
	return strings.ToLower(strings.TrimSpace(account))
}

func (o Officer) normal() (Officer, error) {
	o.Account = NormalAccount(o.Account)
	o.Name, o.Title = i18n.NFC(strings.TrimSpace(o.Name)), i18n.NFC(strings.TrimSpace(o.Title))
	o.ValidFrom, o.ValidTo = o.ValidFrom.UTC().Truncate(time.Microsecond), o.ValidTo.UTC().Truncate(time.Microsecond)
	o.Roles = slices.Clone(o.Roles)
	slices.Sort(o.Roles)
	o.Roles = slices.Compact(o.Roles)
	var problems []error
	if o.Account == "" || len(o.Account) > 100 || strings.ContainsAny(o.Account, " \t\r\n") {
		problems = append(problems, fmt.Errorf("account %q: needs 1 to 100 characters without spaces", o.Account))
	}
	if o.Name == "" || len(o.Name) > maxName {
		problems = append(problems, fmt.Errorf("account %q: needs a name", o.Account))
	}
	if o.Agency == "" {
		problems = append(problems, fmt.Errorf("account %q: needs the code of an agency", o.Account))
	}
	if slices.Contains(o.Roles, "") {
		problems = append(problems, fmt.Errorf("account %q: has an empty role", o.Account))
	}
	if !o.ValidTo.IsZero() && !o.ValidFrom.Before(o.ValidTo) {
		problems = append(problems, fmt.Errorf("account %q: ends before it begins", o.Account))
	}
	return o, errors.Join(problems...)
}

// Seed makes the table of officers what the configuration says. An officer who is no longer listed has left:
// the row ends now and every session of that account is dead at its next request. All faults come at once.
func (s *Service) Seed(ctx context.Context, officers []Officer) (err error) {
	defer errs.Wrap(&err, "seed officers")
	var problems []error
	seen := map[string]bool{}
	list := make([]Officer, 0, len(officers))
	for _, o := range officers {
		n, err := o.normal()
		if err != nil {
			problems = append(problems, err)
		}
		if seen[n.Account] {
			problems = append(problems, fmt.Errorf("account %q: listed twice", n.Account))
		}
		seen[n.Account] = true
		list = append(list, n)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return s.Officers.ReplaceOfficers(ctx, list, s.now())
}

// Officer returns the officer of an account who works here now. Errors: Denied "identity.officer_unknown" when
// the account is not listed, "identity.officer_ended" when it is not its time.
func (s *Service) Officer(ctx context.Context, account string) (Officer, error) {
	o, err := s.Officers.Officer(ctx, NormalAccount(account))
	if errs.Is(err, errs.NotFound) {
		return Officer{}, errs.E(errs.Denied, "identity.officer_unknown", nil)
	}
	if err != nil {
		return Officer{}, err
	}
	if !o.Active(s.now()) {
		return Officer{}, errs.E(errs.Denied, "identity.officer_ended", nil)
	}
	return o, nil
}

// ActiveOfficers lists the officers who work here now, by name, for choosing whom to assign work to.
func (s *Service) ActiveOfficers(ctx context.Context) ([]Officer, error) {
	all, err := s.Officers.AllOfficers(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	return slices.DeleteFunc(all, func(o Officer) bool { return !o.Active(now) }), nil
}

// officer checks the claims for an officer's sign-in. The token only says who; this node's table says the rest.
func (s *Service) officer(ctx context.Context, c Claims) (Session, error) {
	if NormalAccount(c.Officer) == "" {
		return Session{}, errs.E(errs.Denied, "identity.not_officer", nil)
	}
	o, err := s.Officer(ctx, c.Officer)
	if err != nil {
		return Session{}, err
	}
	return Session{
		Kind: reqctx.Officer, Subject: o.Account, Name: o.Name, Agency: o.Agency, Roles: o.Roles, Level: c.Level, Issuer: c.Issuer,
	}, nil
}
