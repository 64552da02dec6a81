// Kubeclamp-node is the one program of kubeclamp's own that runs on nodes: the local balancer of the API (lb), or a name
// server of the pool (dns). It does not know the daemon: roles write its config files, and it reads them again when they
// change or on SIGHUP.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: kubeclamp-node lb  -config FILE   balance the API on a local port
       kubeclamp-node dns -config FILE   answer DNS for the pool of API servers
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: 0 done, 1 failed, 3 called or configured wrongly.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	commands := map[string]func(context.Context, string, *slog.Logger) error{"lb": balance, "dns": nameServer}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return 3
	}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	file := fs.String("config", "", "the `FILE` to read")
	verbose := fs.Bool("v", false, "log more")
	if fs.Parse(args[1:]) != nil || *file == "" || fs.NArg() > 0 {
		fmt.Fprint(stderr, usage)
		return 3
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: untimed}))
	if err := commands[args[0]](ctx, *file, log); err != nil {
		log.Error("kubeclamp-node "+args[0]+" ends", "error", err)
		return 1
	}
	return 0
}

// untimed leaves the time to the journal, which has its own.
func untimed(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}
