package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// run runs a program with these very arguments; its error holds all that the program said.
func run(ctx context.Context, argv ...string) error {
	_, err := outputInput(ctx, "", argv...)
	return err
}

func runInput(ctx context.Context, stdin string, argv ...string) error {
	_, err := outputInput(ctx, stdin, argv...)
	return err
}

func output(ctx context.Context, argv ...string) (string, error) {
	return outputInput(ctx, "", argv...)
}

func outputInput(ctx context.Context, stdin string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(errOut.String())
		if stdin != "" {
			said += " (input: " + strings.TrimSpace(stdin) + ")"
		}
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, said)
	}
	return out.String(), nil
}

func joinErrs(what string, errs []error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// await asks again and again until the answer is yes, the time is over or ctx ends.
func await(ctx context.Context, limit time.Duration, what string, yes func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(pause*2, 100*time.Millisecond) {
		if yes() {
			return nil
		}
		select {
		case <-ctx.Done():
			return crowbar.Errorf(crowbar.Unavailable, "%s: did not happen within %s: %w", what, limit, ctx.Err())
		case <-time.After(pause):
		}
	}
}
