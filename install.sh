#!/bin/sh
# The install and update hook of the Helm plugin: puts the program into bin/, and under Helm 4
# arranges the plugin's folder for Helm 4.
#
#   sh install.sh [install|update]
#
# The program is, in this order,
#   1. the one that lies in bin/ already, if it runs and is of the plugin's version;
#   2. the one in the release archive for this system, from where the plugin came. It is put in
#      place only if its SHA-256 is the one in the release's checksums, and these are signed by the
#      release key. Where the signature cannot be checked, the script says so and why;
#   3. built with cargo.
# If all three fail, the plugin's folder is removed, so that `helm plugin install` can be called
# again. The folder stays after a failed update, and where it held more than Helm put there.
#
#   VCLUSTER_NETPOL_BASE_URL  the folder with the release's files, in place of the one beside the
#                             plugin's repository; https, or http on this very machine
#   VCLUSTER_NETPOL_KEY       the fingerprint of the key that must have signed the release, in place
#                             of release_key below: for mirrors and forks that sign by themselves.
#                             With it, a signature that cannot be checked is an error
#   VCLUSTER_NETPOL_HELM      3 or 4: for which Helm, where that cannot be seen

set -eu
# With CDPATH, `cd` prints a path into what $(cd ... && pwd) collects.
unset CDPATH

name=vcluster-netpol
# The fingerprint of the key that signs the releases, 40 or 64 hexadecimal digits. It is empty as
# long as no release key exists. scripts/import-signing-key refuses to sign a release with a key
# that is not named here.
release_key=
task=${1:-install}
helm=
work=
finished=
# The folder that a failed install removes. It stays empty until the folder is known to be ours.
removable=

say() { echo "$name: $*"; }
warn() { echo "$name: $*" >&2; }
die() { warn "$@"; exit 1; }

# manifest_names FILE NAME: whether this plugin manifest is of the plugin of that name.
manifest_names() {
    [ -f "$1" ] && grep -qx "name: $2" "$1"
}

# find_folder: the plugin's folder, in $dir. This script lies in it, and its manifests name us;
# otherwise the script ends and has changed nothing.
find_folder() {
    here=$(cd "$(dirname "$0")" && pwd -P)
    dir=${HELM_PLUGIN_DIR:-$here}
    # A link with a slash or a dot behind it means the folder that it leads to, not the link.
    while :; do
        case $dir in
        ?*/) dir=${dir%/} ;;
        ?*/.) dir=${dir%/.} ;;
        *) break ;;
        esac
    done
    if ! [ -f "$here/install.sh" ] ||
        [ "$here" != "$(cd "$dir" 2>/dev/null && pwd -P)" ]; then
        die "HELM_PLUGIN_DIR is $dir, but this install.sh does not lie in that folder." \
            "Nothing was changed. Unset HELM_PLUGIN_DIR, or call the install.sh of that folder"
    fi
    if ! manifest_names "$dir/plugin/helm3.yaml" "$name" ||
        ! manifest_names "$dir/plugin.yaml" "$name"; then
        die "$dir is not the folder of the plugin $name (HELM_PLUGIN_DIR, or the folder of" \
            "install.sh): its plugin.yaml or plugin/helm3.yaml is missing or names another plugin." \
            "Nothing was changed"
    fi
    command=$dir-cli
}

# allow_removal: lets a failed install remove the folder. Only Helm's own hook gives both
# variables, so who calls this by hand keeps the folder. A program that runs was installed before.
allow_removal() {
    [ "$task" = install ] || return 0
    [ -n "${HELM_PLUGIN_DIR:-}" ] && [ "${HELM_PLUGIN_NAME:-}" = "$name" ] || return 0
    if ! [ -L "$dir" ]; then
        case $("$dir/bin/$name" --version 2>/dev/null) in
        "$name "*) return 0 ;;
        esac
    fi
    removable=$dir
}

# has_work: whether a clone holds changes, files or commits that are nowhere else. Where git cannot
# say that there are none, it does.
has_work() {
    [ -e "$dir/.git" ] || return 1
    changes=$(git -C "$dir" status --porcelain 2>/dev/null) || return 0
    commits=$(git -C "$dir" rev-list -n 1 --all --not --remotes --tags 2>/dev/null) || return 0
    [ -n "$changes$commits" ]
}

# What is left when we end: all of it, or nothing that would be in the way of another try.
leave() {
    if [ -n "$work" ]; then rm -rf "$work"; fi
    if [ -n "$finished" ] || [ -z "$removable" ]; then return; fi
    if [ "$helm" = 4 ] && is_our_command; then rm -rf "$command"; fi
    if [ -L "$removable" ]; then
        rm -f "$removable"
    elif has_work; then
        warn "$removable is kept, because it holds files or commits that are only there; remove it" \
            "before you install the plugin again"
        return
    else
        rm -rf "$removable"
    fi
    warn "nothing of the plugin is left behind; once the cause is gone, install it again"
}
trap leave EXIT
trap 'exit 1' HUP INT TERM

# is_our_command: whether the second plugin of Helm 4 is there and is ours.
is_our_command() {
    manifest_names "$command/plugin.yaml" "$name-cli"
}

# has PROGRAM: whether there is such a program.
has() { command -v "$1" >/dev/null 2>&1; }

# is_right PROGRAM: whether it runs here and is of the plugin's version.
is_right() {
    [ -f "$1" ] && [ -x "$1" ] && [ "$("$1" --version 2>/dev/null)" = "$name $version" ]
}

# put PROGRAM: gives it its place in one step.
put() {
    if ! { mkdir -p "$dir/bin" && chmod 755 "$1" && mv -f "$1" "$dir/bin/$name"; }; then
        die "can't put the program into $dir/bin"
    fi
    keep
}

# `helm plugin update` first throws away everything in a clone that is not in its repository, and
# so the program. A second name for it, where git keeps its own, brings it back.
keep() {
    if [ -d "$dir/.git" ]; then
        ln -f "$dir/bin/$name" "$dir/.git/$name" 2>/dev/null ||
            cp -f "$dir/bin/$name" "$dir/.git/$name"
    fi
}
bring_back() {
    if [ -f "$dir/.git/$name" ] && ! [ -e "$dir/bin/$name" ]; then
        mkdir -p "$dir/bin"
        ln "$dir/.git/$name" "$dir/bin/$name" 2>/dev/null ||
            cp "$dir/.git/$name" "$dir/bin/$name"
    fi
}

system() {
    case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) return 1 ;;
    esac
    case $(uname -m) in
    x86_64 | amd64) cpu=amd64 ;;
    aarch64 | arm64) cpu=arm64 ;;
    *) return 1 ;;
    esac
    echo "$os-$cpu"
}

# is_loopback URL: whether it names this very machine, and no user and no other host in disguise.
is_loopback() {
    host=${1#*://}
    host=${host%%[/?#]*}
    case $host in
    *@*) return 1 ;;
    '[::1]' | '[::1]:'*) return 0 ;;
    esac
    host=${host%%:*}
    [ "$host" = localhost ] && return 0
    case $host in
    127.*[!0-9.]* | 127.) return 1 ;;
    127.*) return 0 ;;
    esac
    return 1
}

# The folder with the files of this version's release; nothing, where the plugin came from no host.
base_url() {
    if [ -n "${VCLUSTER_NETPOL_BASE_URL:-}" ]; then
        echo "${VCLUSTER_NETPOL_BASE_URL%/}"
        return
    fi
    origin=$(git -C "$dir" config --get remote.origin.url 2>/dev/null) || return 0
    case $origin in
    https://*@*) origin=https://${origin#*@} ;;
    https://*) ;;
    ssh://*) origin=${origin#ssh://} origin=https://${origin#*@} ;;
    *@*:*) origin=${origin#*@} origin=https://${origin%%:*}/${origin#*:} ;;
    *) return 0 ;;
    esac
    origin=${origin%/}
    echo "${origin%.git}/releases/download/v$version"
}

# fetch URL FILE: over TLS, unless the URL names this machine; no redirection leads off it.
fetch() {
    if is_loopback "$1"; then
        curl -fsS --noproxy '*' --proto '=http,https' --max-time 300 -o "$2" "$1"
    else
        curl -fsSL --proto '=https' --proto-redir '=https' --tlsv1.2 --max-time 300 -o "$2" "$1"
    fi
}

sha256() {
    if has sha256sum; then
        sha256sum <"$1"
    elif has shasum; then
        shasum -a 256 <"$1"
    elif has openssl; then
        openssl dgst -r -sha256 <"$1"
    else
        die "there is no sha256sum, shasum or openssl to check the archive with; install one of them"
    fi | cut -d ' ' -f 1
}

# key_wanted: the fingerprint that the release must be signed with, or nothing.
key_wanted() {
    key=$(printf '%s' "${VCLUSTER_NETPOL_KEY:-$release_key}" | tr -d ' ' | tr 'a-f' 'A-F')
    case $key in
    *[!0-9A-F]*) ;;
    *) case ${#key} in 0 | 40 | 64) echo "$key" && return ;; esac ;;
    esac
    die "VCLUSTER_NETPOL_KEY is not the whole fingerprint of a key, which has 40 or 64 hexadecimal" \
        "digits: gpg --fingerprint shows it"
}

# unchecked WHY...: what it means that no signature was checked.
unchecked() {
    if [ -n "${VCLUSTER_NETPOL_KEY:-}" ]; then
        die "the signature of the release cannot be checked: $*. VCLUSTER_NETPOL_KEY asks for it," \
            "so nothing is installed"
    fi
    warn "the signature of the release was NOT checked: $*. The checksum comes from the same place" \
        "as the archive: it finds a damaged download, and not a release that somebody replaced there"
    signed="its signature not checked"
}

# is_signed FINGERPRINT STATUS: whether gpg's status lines hold a good signature by that key, which
# is neither expired nor revoked. A file can hold several signatures; one by the key is enough.
is_signed() {
    awk -v wanted="$1" '
        $2 == "NEWSIG" { good = 0 }
        $2 == "GOODSIG" { good = 1 }
        $2 ~ /^(BADSIG|ERRSIG|EXPSIG|EXPKEYSIG|REVKEYSIG)$/ { good = 0 }
        $2 == "VALIDSIG" && good && ($3 == wanted || $12 == wanted) { found = 1 }
        END { exit !found }
    ' "$2"
}

# check_signature: whether the checksums are signed by the release key. The key is the one in the
# user's keyring, which may know that it was revoked, or else the one that lies with the release:
# the fingerprint decides which key counts. Says how it went in $signed; ends where it is wrong.
check_signature() {
    key=$(key_wanted) || exit 1
    if [ -z "$key" ]; then
        unchecked "no release key is known to this version of the plugin"
        return
    fi
    if [ -n "${VCLUSTER_NETPOL_KEY:-}" ]; then
        say "takes the key $key from VCLUSTER_NETPOL_KEY"
    fi
    if ! has gpg; then
        unchecked "gpg is missing. Install it to have the release checked with the key $key"
        return
    fi
    if ! fetch "$base/$sums.asc" "$work/sums.asc"; then
        die "$base/$sums.asc could not be downloaded. The release must be signed by the key $key," \
            "so nothing is installed"
    fi
    set -- gpg --batch --no-tty
    if ! "$@" --list-keys "$key" >"$work/keys" 2>&1; then
        fetch "$base/$name-$version-key.asc" "$work/key.asc" ||
            die "the key $key is not in your keyring, and $base/$name-$version-key.asc could not be" \
                "downloaded. Nothing is installed; import the key with gpg and try again"
        mkdir -m 700 "$work/gpg" || die "can't write into $dir"
        # Without this file a newer gpg would start a program that keeps the keys.
        : >"$work/gpg/common.conf"
        set -- "$@" --homedir "$work/gpg" --no-autostart
        "$@" --import "$work/key.asc" >"$work/keys" 2>&1 || true
    fi
    "$@" --status-fd 1 --verify "$work/sums.asc" "$work/sums" >"$work/status" 2>"$work/why" || true
    is_signed "$key" "$work/status" ||
        die "$base/$sums is not signed by the key $key, or that key has expired or was revoked." \
            "Nothing is installed; tell the maintainers. gpg says:" "$(tr '\n' ' ' <"$work/why")"
    signed="signed by the key $key"
}

# download: puts the program of the release in place. 1: there is none to be had; what is there and
# is wrong ends everything.
download() {
    base=$(base_url)
    if [ -z "$base" ]; then
        say "the plugin came from this machine, so no release is looked for"
        return 1
    fi
    case $base in
    https://*) ;;
    http://*)
        is_loopback "$base" || die "$base is not safe to install from: use https"
        ;;
    *) die "$base is no URL to install from: use https" ;;
    esac
    if ! system=$(system); then
        say "no release is made for $(uname -s) on $(uname -m)"
        return 1
    fi
    if ! has curl; then
        say "curl is missing, so no release is looked for"
        return 1
    fi
    archive=$name-$version-$system.tar.gz
    sums=$name-$version-checksums.txt
    say "downloads $base/$archive"
    if ! fetch "$base/$sums" "$work/sums" || ! fetch "$base/$archive" "$work/archive"; then
        say "the release could not be downloaded"
        return 1
    fi
    check_signature
    wanted=$(awk -v file="$archive" '$2 == file || $2 == "*" file { print $1 }' "$work/sums")
    found=$(sha256 "$work/archive")
    if [ -z "$wanted" ]; then
        die "$base/$sums does not name $archive: the release is not whole, and nothing is installed"
    fi
    if [ "$found" != "$wanted" ]; then
        die "$base/$archive is not what the release says: its SHA-256 is $found" \
            "and should be $wanted. Nothing of it is installed; try again, and tell the maintainers" \
            "if that does not help"
    fi
    mkdir "$work/unpacked" || die "can't write into $dir"
    tar -xzf "$work/archive" -C "$work/unpacked" "bin/$name" ||
        die "$archive does not hold bin/$name, and nothing is installed"
    program=$work/unpacked/bin/$name
    if [ -L "$program" ] || ! is_right "$program"; then
        die "the program in $archive does not run here as version $version, and nothing is installed"
    fi
    put "$program"
    say "installed the released program, its SHA-256 checked, $signed"
}

# build: builds the program from the plugin's own sources.
build() {
    if ! [ -f "$dir/Cargo.toml" ] || ! has cargo; then
        say "it cannot be built here: that needs the sources and cargo (Rust)"
        return 1
    fi
    say "builds the program with cargo, which takes some minutes"
    cargo install --quiet --locked --no-track --path "$dir" --root "$work" \
        --target-dir "$work/target" </dev/null || return 1
    is_right "$work/bin/$name" || return 1
    put "$work/bin/$name"
    say "installed the program that was built"
}

# Helm 3 sets every one of its variables for a hook. Helm 4 sets two, so these are the user's, or
# not there.
which_helm() {
    if [ -n "${VCLUSTER_NETPOL_HELM:-}" ]; then
        echo "$VCLUSTER_NETPOL_HELM"
    elif [ -z "${HELM_BIN+x}${HELM_DEBUG+x}${HELM_MAX_HISTORY+x}${HELM_REGISTRY_CONFIG+x}" ]; then
        echo 4
    elif [ -n "${HELM_BIN:-}" ] && [ -n "${HELM_DEBUG+x}" ] && [ -n "${HELM_MAX_HISTORY+x}" ] &&
        [ -n "${HELM_REGISTRY_CONFIG+x}" ] && [ -n "${HELM_NAMESPACE+x}" ]; then
        case $("$HELM_BIN" version --template '{{.Version}}' 2>/dev/null) in
        v4.*) echo 4 ;;
        *) echo 3 ;;
        esac
    else
        echo 4
    fi
}

# A folder of the plugin's own in the place of Helm's link to the user's folder, which another Helm
# may be using too.
own_folder() {
    source=$(cd "$dir" && pwd -P)
    rm -f "$dir"
    mkdir "$dir"
    for file in bin plugin install.sh; do
        ln -s "$source/$file" "$dir/$file"
    done
    cp "$source/plugin/helm4.yaml" "$dir/plugin.yaml"
}

# Arranges the folder for Helm 4: plugin.yaml is Helm 4's, and a second plugin beside it is the
# command.
arrange() {
    if [ -L "$dir" ]; then
        own_folder
    elif [ -L "$dir/plugin.yaml" ]; then
        ln -s plugin/helm4.yaml "$work/plugin.yaml"
        mv -f "$work/plugin.yaml" "$dir/plugin.yaml"
        # `helm plugin update` refuses a clone with changes; this one is no change of the user's.
        if [ -e "$dir/.git" ]; then
            git -C "$dir" update-index --skip-worktree plugin.yaml
        fi
    fi
    rm -rf "$command"
    mkdir -p "$command/bin"
    cp "$dir/plugin/helm4-command.yaml" "$command/plugin.yaml"
    ln -s "../../$(basename "$dir")/bin/$name" "$command/bin/$name"
}

hint() {
    if [ "$helm" = 4 ]; then
        say "use it with --post-renderer $name; \`helm $name --help\` shows its commands"
    else
        say "Helm 3 looks for post-renderers on PATH alone: either put $dir/bin on PATH," \
            "or use it with --post-renderer $dir/bin/$name"
    fi
}

find_folder
version=$(sed -n 's/^version: //p' "$dir/plugin/helm3.yaml")
helm=$(which_helm)
allow_removal
work=$(mktemp -d "$dir/.install.XXXXXX")

# A folder's link, Helm 4 puts below HELM_DATA_HOME, whatever HELM_PLUGINS says, and then does not
# find it. Where that is the folder of a Helm 3, it would load no plugin any more.
if [ "$helm" = 4 ] && [ -n "${HELM_PLUGIN_DIR:-}" ] && [ -n "${HELM_PLUGINS:-}" ] &&
    [ "$(cd "$(dirname "$dir")" && pwd -P)" != "$(cd "$HELM_PLUGINS" 2>/dev/null && pwd -P)" ]; then
    die "Helm 4 installs a folder into $(dirname "$dir"), but HELM_PLUGINS is $HELM_PLUGINS:" \
        "install from the git URL or the archive, or set HELM_DATA_HOME to the folder that holds" \
        "Helm 4's plugins/"
fi
if [ "$helm" = 4 ] && [ -n "${HELM_PLUGIN_DIR:-}" ] && ! is_our_command &&
    { [ -e "$command" ] || [ -L "$command" ]; }; then
    die "$command is the place of the command \`helm $name\`, and belongs to another plugin:" \
        "install this plugin under another folder name, or remove that one"
fi
bring_back
if is_right "$dir/bin/$name"; then
    say "takes the program that is there, version $version"
elif ! download && ! build; then
    if [ -e "$dir/bin/$name" ]; then
        warn "the program that was there stays, of another version"
    fi
    die "version $version could not be installed; the lines above say why." \
        "VCLUSTER_NETPOL_BASE_URL=URL takes the release from another place"
fi
if [ "$helm" = 4 ] && [ -n "${HELM_PLUGIN_DIR:-}" ]; then
    rm -rf "$work"
    if [ -L "$dir" ]; then work=$(mktemp -d); else work=$(mktemp -d "$dir/.install.XXXXXX"); fi
    arrange
fi
finished=yes
hint
