package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
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
