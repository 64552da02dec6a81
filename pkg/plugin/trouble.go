package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// An error crosses the wire with its text, its kind, and whether it is one of the few that callers ask for by name:
// fs.ErrNotExist, context.Canceled, context.DeadlineExceeded, *jig.ExitError.

const (
	maxMessage = 256 << 10 // bytes of an error's text
	maxOutput  = 64 << 10  // bytes kept of each output of a command that ended badly: the last ones
)

var kindsOut = map[crowbar.ErrorKind]rolev1.Trouble_Kind{crowbar.Invalid: rolev1.Trouble_KIND_INVALID, crowbar.NotFound: rolev1.Trouble_KIND_NOT_FOUND,
	crowbar.Conflict: rolev1.Trouble_KIND_CONFLICT, crowbar.Unavailable: rolev1.Trouble_KIND_UNAVAILABLE}
var kindsIn = map[rolev1.Trouble_Kind]crowbar.ErrorKind{rolev1.Trouble_KIND_INVALID: crowbar.Invalid, rolev1.Trouble_KIND_NOT_FOUND: crowbar.NotFound,
	rolev1.Trouble_KIND_CONFLICT: crowbar.Conflict, rolev1.Trouble_KIND_UNAVAILABLE: crowbar.Unavailable}
var codesOut = map[rolev1.Trouble_Kind]codes.Code{rolev1.Trouble_KIND_UNSPECIFIED: codes.Internal, rolev1.Trouble_KIND_INVALID: codes.InvalidArgument,
	rolev1.Trouble_KIND_NOT_FOUND: codes.NotFound, rolev1.Trouble_KIND_CONFLICT: codes.Aborted, rolev1.Trouble_KIND_UNAVAILABLE: codes.Unavailable}
var codesIn = map[codes.Code]crowbar.ErrorKind{codes.InvalidArgument: crowbar.Invalid, codes.NotFound: crowbar.NotFound,
	codes.Aborted: crowbar.Conflict, codes.Unavailable: crowbar.Unavailable}

func troubleOut(err error) *rolev1.Trouble {
	if err == nil {
		return nil
	}
	t := &rolev1.Trouble{Message: first(err.Error(), maxMessage), Kind: kindsOut[crowbar.KindOf(err)], NotExist: errors.Is(err, fs.ErrNotExist),
		Canceled: errors.Is(err, context.Canceled), Deadline: errors.Is(err, context.DeadlineExceeded)}
	if e, ok := errors.AsType[*jig.ExitError](err); ok {
		t.Ended = &rolev1.Ended{Argv: e.Argv, Code: int32(e.Exit.Code), Stdout: last(e.Exit.Stdout), Stderr: last(e.Exit.Stderr)}
	}
	return t
}

func first(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

func last(b []byte) []byte { return b[max(0, len(b)-maxOutput):] }

// remote is an error from the other side: its text as it was there, and the errors that it was made of.
type remote struct {
	text  string
	parts []error
}

func (r *remote) Error() string   { return r.text }
func (r *remote) Unwrap() []error { return r.parts }

func troubleIn(t *rolev1.Trouble) error {
	r := &remote{text: t.GetMessage()}
	if t.GetNotExist() {
		r.parts = append(r.parts, fs.ErrNotExist)
	}
	if t.GetCanceled() {
		r.parts = append(r.parts, context.Canceled)
	}
	if t.GetDeadline() {
		r.parts = append(r.parts, context.DeadlineExceeded)
	}
	if e := t.GetEnded(); e != nil {
		r.parts = append(r.parts, &jig.ExitError{Argv: e.GetArgv(), Exit: jig.Exit{Code: int(e.GetCode()), Stdout: e.GetStdout(), Stderr: e.GetStderr()}})
	}
	if kind, ok := kindsIn[t.GetKind()]; ok {
		return &crowbar.Fault{Kind: kind, Err: r}
	}
	return r
}

// statusOut makes a gRPC status of an error, for calls whose answer has no place for one.
func statusOut(err error) error {
	if err == nil {
		return nil
	}
	t := troubleOut(err)
	code := codesOut[t.GetKind()]
	switch {
	case t.GetCanceled():
		code = codes.Canceled
	case t.GetDeadline():
		code = codes.DeadlineExceeded
	}
	s, withErr := status.New(code, first(err.Error(), 1000)).WithDetails(t)
	if withErr != nil {
		return status.Error(code, first(err.Error(), 1000))
	}
	return s.Err()
}

// statusIn is the way back; a status without details is gRPC's own.
func statusIn(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range s.Details() {
		if t, ok := d.(*rolev1.Trouble); ok {
			return troubleIn(t)
		}
	}
	switch s.Code() {
	case codes.Canceled:
		return fmt.Errorf("%s: %w", s.Message(), context.Canceled)
	case codes.DeadlineExceeded:
		return fmt.Errorf("%s: %w", s.Message(), context.DeadlineExceeded)
	}
	return crowbar.Errorf(codesIn[s.Code()], "%s", s.Message())
}
