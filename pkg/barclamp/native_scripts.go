package barclamp

// installScript puts the program that does the roles, and what it has to know, onto the node: those of the node's kind that lie
// beside the script, or in the folder of files that the server shares.
const installScript = `set +x
dir=/usr/lib/kubeclamp/native
case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) echo "there are no programs of kubeclamp for $(uname -m)"; exit 1 ;;
esac
mkdir -p "$dir"
from="$TMPDIR/$ROLE"
url=$(read_attribute kubeclamp/files)
for name in "kubeclamp-role.$arch" "artifacts.$arch.json" package.json; do
    if [[ -e $from/$name.gz ]]; then
        gunzip -c "$from/$name.gz" >"$dir/.new"
    elif [[ -e $from/$name ]]; then
        cp "$from/$name" "$dir/.new"
    elif [[ $url ]]; then
        curl -fsS --retry 5 --max-time 300 -o "$dir/.new" "$url/$name"
        sum=$(cat "$from/$name.sha256")
        [[ $(sha256sum <"$dir/.new") = "${sum%% *}  -" ]] || { echo "$url/$name is not the one that this package was made with"; exit 1; }
    else
        echo "the package has no $name, and attrib kubeclamp-files-url says no place to fetch it from"
        exit 1
    fi
    case $name in
        kubeclamp-role*) chmod 755 "$dir/.new"; mv -f "$dir/.new" "$dir/kubeclamp-role" ;;
        artifacts*) mv -f "$dir/.new" "$dir/artifacts.json" ;;
        *) mv -f "$dir/.new" "$dir/$name" ;;
    esac
done
"$dir/kubeclamp-role" --names >/dev/null
echo "kubeclamp's programs for $arch are in $dir"
`

// applyScript has the program do the role that the script is of, and gives back what it did. What is secret stays in files: the shell,
// which may be told to print all that it does, sees none of it.
const applyScript = `set +x
/usr/lib/kubeclamp/native/kubeclamp-role "$ROLE" apply --node local --attribs "$TMPDIR/attrs.json" --walls "$TMPDIR/walls"
while IFS=$'\t' read -r path value; do
    write_attribute "$path" "$value"
done <"$TMPDIR/walls"
`
