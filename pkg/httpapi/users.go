package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// UserPath is the parameters of a user's path.
type UserPath struct {
	BatchPath
	Email string `path:"email" maxLength:"320" doc:"the address of the target mailbox"`
}

type userOut struct{ Body client.User }

func (a *api) userRoutes() {
	c := a.Control
	const all, one = batchPath + "/users", batchPath + "/users/{email}"
	route(a, migration.Viewer, http.MethodGet, all, "listUsers", "List a batch's users",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Paging
			Status string `query:"status" doc:"only users of this status, such as Failed"`
			Code   string `query:"code" doc:"only users with this code, such as AuthFailed"`
		},
		) (*pageOut[client.User], error) {
			after, err := in.after()
			if err != nil {
				return nil, err
			}
			f := migration.UserFilter{Status: migration.UserStatus(in.Status), Code: migration.Code(in.Code)}
			rows, err := c.Users(ctx, who, in.Org, in.Name, f, after, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page(rows, in.Limit, userWire, func(u migration.User) string { return u.EmailAddress }), nil
		})
	route(a, migration.Viewer, http.MethodGet, one, "getUser", "Show a user",
		func(ctx context.Context, who control.Actor, in *UserPath) (*userOut, error) {
			return answerUser(c.User(ctx, who, in.Org, in.Name, in.Email))
		})
	route(a, migration.Operator, http.MethodDelete, one, "removeUser", "Take a user out of its batch",
		func(ctx context.Context, who control.Actor, in *UserPath) (*removed, error) {
			return answerRemoved(c.RemoveUser(ctx, who, in.Org, in.Name, in.Email))
		}, goneOrSoon)
	for _, v := range []struct {
		verb, summary string
		do            func(context.Context, control.Actor, string, string, string) (migration.User, error)
	}{
		{"retry", "Try a user again now", c.RetryUser},
		{"stop", "Stop a user", c.StopUser},
		{"complete", "Sync a user a last time, then no more", c.CompleteUser},
		{"reset", "Forget what is known of a user's messages", c.ResetUser},
	} {
		route(a, migration.Operator, http.MethodPost, one+"/"+v.verb, v.verb+"User", v.summary,
			func(ctx context.Context, who control.Actor, in *UserPath) (*userOut, error) {
				return answerUser(v.do(ctx, who, in.Org, in.Name, in.Email))
			})
	}
	a.userBodyRoutes(one)
	a.deletionRoute(one)
	a.itemRoute()
}

// userBodyRoutes are those that ask for more than the user's name.
func (a *api) userBodyRoutes(one string) {
	c := a.Control
	route(a, migration.Operator, http.MethodPost, one+"/credentials", "setCredentials", "Give a user new credentials; it goes on by itself",
		func(ctx context.Context, who control.Actor, in *struct {
			UserPath
			Body client.Credentials
		},
		) (*userOut, error) {
			return answerUser(c.SetCredentials(ctx, who, in.Org, in.Name, in.Email, control.UserCredentials{
				UserName: in.Body.UserName, TargetUserName: in.Body.TargetUserName,
				Password: migration.NewSecret(in.Body.Password), TargetPassword: migration.NewSecret(in.Body.TargetPassword),
			}))
		})
	route(a, migration.Operator, http.MethodPost, one+"/move", "moveUser", "Move a user to another batch, with all that is known of its messages",
		func(ctx context.Context, who control.Actor, in *struct {
			UserPath
			Body client.Move
		},
		) (*userOut, error) {
			return answerUser(c.MoveUser(ctx, who, in.Org, in.Name, in.Email, in.Body.To))
		})
}

// deletionRoute answers a sync that asks about deletions.
func (a *api) deletionRoute(one string) {
	route(a, migration.Operator, http.MethodPost, one+"/confirm-deletions", "confirmDeletions",
		"Confirm the deletions that a user's latest sync asks about; it goes on at once",
		func(ctx context.Context, who control.Actor, in *struct {
			UserPath
			Confirm int64 `query:"confirm" minimum:"0" doc:"how many: the user's deletionsAsked"`
		},
		) (*userOut, error) {
			return answerUser(a.Control.ConfirmDeletions(ctx, who, in.Org, in.Name, in.Email, in.Confirm))
		})
}

func (a *api) itemRoute() {
	c := a.Control
	route(a, migration.Viewer, http.MethodGet, batchPath+"/items", "listItems", "List the messages that were skipped or failed",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Paging
			Code string `query:"code" doc:"only those with this code, such as MessageTooLarge"`
		},
		) (*pageOut[client.Item], error) {
			after, err := in.afterID()
			if err != nil {
				return nil, err
			}
			rows, err := c.Items(ctx, who, in.Org, in.Name, migration.Code(in.Code), after, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page(rows, in.Limit, itemWire, func(i migration.UserItem) string { return strconv.FormatInt(i.ID, 10) }), nil
		})
}

func answerUser(u migration.User, err error) (*userOut, error) {
	if err != nil {
		return nil, err
	}
	return &userOut{userWire(u)}, nil
}
