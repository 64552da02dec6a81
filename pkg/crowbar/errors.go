package crowbar

import (
	"errors"
	"fmt"
)

// ErrorKind says what sort of trouble an error is; it maps to an HTTP status and a gRPC code in one place each.
type ErrorKind int

// The kinds of errors. An error without a kind is Internal.
const (
	Internal    ErrorKind = iota
	Invalid               // the request or document is wrong; say where and what to do
	NotFound              // nothing of that name
	Conflict              // state moved, or a rule forbids it now
	Unavailable           // a thing that is needed does not answer
)

// Fault is an error with a kind.
type Fault struct {
	Kind ErrorKind
	Err  error
}

// Error is the message.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Errorf makes an error of a kind, with fmt.Errorf's format.
func Errorf(k ErrorKind, format string, a ...any) error {
	return &Fault{Kind: k, Err: fmt.Errorf(format, a...)}
}

// KindOf finds the kind of an error, Internal if it has none.
func KindOf(err error) ErrorKind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return Internal
}
