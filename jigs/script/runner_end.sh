
# Not as a condition of anything: bash would go on after what fails in it.
for __script in "$TMPDIR/$ROLE"/*.sh; do
    (set -e; . "$__script") 2>&1 | tee "$TMPDIR/logs/${__script##*/}.log"
done
