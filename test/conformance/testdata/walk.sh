#!/bin/bash
# A whole life by nothing but curl: make, bind, set, commit, anneal, destroy. URL, CROWBAR_KEY (user:password) and CA say where.
set -euo pipefail

# ask METHOD PATH [JSON]: prints the answer and ends with 22 where it is none that is good
ask() {
  local data=()
  [ $# -lt 3 ] || data=(-H 'Content-Type: application/json' --data "$3")
  # The password goes by a file descriptor: other users of this machine can read a command line.
  curl --silent --show-error --fail-with-body --digest --config <(printf 'user = "%s"\n' "$CROWBAR_KEY") --cacert "$CA" -X "$1" "${data[@]}" "$URL$2"
}

# code METHOD PATH: prints the status code alone
code() {
  curl --silent --output /dev/null --write-out '%{http_code}' --digest --config <(printf 'user = "%s"\n' "$CROWBAR_KEY") --cacert "$CA" -X "$1" "$URL$2"
}

# has TEXT WANTED: the walk ends here where the text does not have what is wanted
has() {
  case "$1" in *"$2"*) ;; *) echo "no $2 in: $1" >&2; exit 1 ;; esac
}

ask POST /api/v2/deployments '{"name":"walk","description":"by curl"}' >/dev/null
for n in m1 w1; do
  has "$(ask POST /api/v2/nodes "{\"name\":\"$n.walk.org\",\"alive\":true,\"deployment\":\"walk\"}")" "\"name\":\"$n.walk.org\""
done
ask POST /api/v2/node_roles '{"node":"m1.walk.org","role":"test-cluster","deployment":"walk"}' >/dev/null
ask POST /api/v2/node_roles '{"node":"w1.walk.org","role":"test-member","deployment":"walk"}' >/dev/null
has "$(ask POST /api/v2/node_roles '{"node":"w1.walk.org","role":"test-slow","deployment":"walk"}')" '"state":4'
has "$(ask PUT /api/v2/deployments/walk/attribs/test-slow-gate "{\"value\":\"$GATE\"}")" "$GATE"
ask PUT /api/v2/nodes/w1.walk.org/attribs/test-count '{"value":3}' >/dev/null
has "$(ask GET /api/v2/nodes/w1.walk.org/attribs/test-count)" '"value":3'

ask PUT /api/v2/deployments/walk/commit >/dev/null
for n in m1 w1; do ask PUT "/api/v2/nodes/$n.walk.org/commit" >/dev/null; done

# Something runs until its gate is open: anneal says 202 until then, and 200 at the end.
test "$(code GET /api/v2/anneal)" = 202
touch "$GATE/w1"
for _ in $(seq 300); do
  case "$(code GET /api/v2/anneal)" in
    200) break ;;
    202) sleep 0.1 ;;
    *) echo "anneal: $(ask GET /api/v2/anneal)" >&2; exit 1 ;;
  esac
done
test "$(code GET /api/v2/anneal)" = 200
has "$(ask GET /api/status/deployments/walk)" '"status":"active"'
has "$(ask GET /api/v2/nodes/w1.walk.org/node_roles/test-member)" '"run_count":1'

for n in w1 m1; do
  has "$(ask DELETE "/api/v2/nodes/$n.walk.org")" '"message":"Successfully deleted'
  for _ in $(seq 300); do
    [ "$(code GET "/api/v2/nodes/$n.walk.org")" != 404 ] || break
    sleep 0.1
  done
  test "$(code GET "/api/v2/nodes/$n.walk.org")" = 404
done
has "$(ask DELETE /api/v2/deployments/walk)" '"message":"Successfully deleted'
test "$(code GET /api/v2/deployments/walk)" = 404
echo done
