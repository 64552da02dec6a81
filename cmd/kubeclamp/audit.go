package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "What was done over the API, and by whom: list, verify"}
	cmd.AddCommand(a.auditListCommand(), a.auditVerifyCommand())
	return cmd
}

func (a *app) auditListCommand() *cobra.Command {
	limit, before := 50, uint64(0)
	cmd := &cobra.Command{Use: "list", Short: "What was done, newest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		all, err := c.AuditLog(cmd.Context(), before, limit)
		if err != nil {
			return err
		}
		rows := make([][]string, 0, len(all))
		for _, e := range all {
			answer := "?" // it is under way, or its daemon died
			if e.Code != 0 {
				answer = strconv.Itoa(e.Code)
			}
			rows = append(rows, []string{strconv.FormatUint(e.Seq, 10), e.At.Local().Format(time.DateTime), e.Who, e.Via, e.From, e.Method, e.Route, e.Object, answer})
		}
		return a.print(cmd.OutOrStdout(), all, "NUMBER\tTIME\tWHO\tVIA\tFROM\tMETHOD\tROUTE\tOBJECT\tANSWER", rows)
	}}
	cmd.Flags().IntVar(&limit, "limit", limit, "how many, 1000 at the most")
	cmd.Flags().Uint64Var(&before, "before", 0, "only what came before this number")
	return cmd
}

func (a *app) auditVerifyCommand() *cobra.Command {
	return &cobra.Command{Use: "verify", Short: "Check that nothing in the record was changed, taken out or put in",
		Long: `Check that nothing in the record was changed, taken out or put in. Each record has the digest of the one before it, and the
newest is sealed by the daemon's key. Whoever keeps the digest that is printed elsewhere can tell later that nothing up to it was changed, even
by somebody who has the key. Ends with 1 where something is wrong, and names it.`,
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			check, err := c.AuditVerify(cmd.Context())
			if err != nil {
				return err
			}
			if a.output != "table" {
				err = a.print(cmd.OutOrStdout(), check, "", [][]string{{check.Hash}})
			} else {
				printCheck(cmd, check)
			}
			if err == nil && !check.OK {
				return errors.New("the audit log is not whole")
			}
			return err
		}}
}

func printCheck(cmd *cobra.Command, check crowbar.AuditCheck) {
	out := cmd.OutOrStdout()
	for _, p := range check.Problems {
		fmt.Fprintln(out, p)
	}
	if check.OK && check.Last == 0 {
		fmt.Fprintln(out, "there is no record yet")
	} else if check.OK {
		fmt.Fprintf(out, "records %d to %d are whole, sealed: %t, digest of the last: %s\n", check.First, check.Last, check.Sealed, check.Hash)
	}
}
