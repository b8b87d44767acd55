#!/bin/sh
# Print the Python to set up with, or say in one line why there is none (exit status 1).
#
#     scripts/find_python.sh [PYTHON]
#
# Suitable is a version that requires-python in pyproject.toml names, with venv. Without
# PYTHON the first suitable one of python3, python3.N and python is taken.
# Plain POSIX shell without other programs: it runs where nothing is installed yet.

requires=
while IFS= read -r line; do
    case $line in requires-python*) requires=$line ;; esac
done <"${0%/*}/../pyproject.toml"
oldest=${requires#*>=3.} oldest=${oldest%%,*}
newest=${requires#*<3.} newest=$((${newest%%[!0-9]*} - 1))

tested=
candidates=
minor=$newest
while [ "$minor" -ge "$oldest" ]; do
    tested="3.$minor${tested:+ or $tested}"
    candidates="$candidates python3.$minor"
    minor=$((minor - 1))
done

# judge NAME: set fault to what keeps NAME from being used, or to nothing.
judge() {
    fault=missing
    command -v "$1" >/dev/null 2>&1 || return
    fault=broken
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || return
    case $version in
        2.*) fault=old ;;
        3.*[!0-9]* | 3.) return ;;
        3.*)
            minor=${version#3.}
            if [ "$minor" -lt "$oldest" ]; then
                fault=old
            elif [ "$minor" -gt "$newest" ]; then
                fault=new
            elif ! "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
                fault=venv
            else
                fault=
            fi
            ;;
    esac
}

# complain FAULT NAME VERSION: the one line, then the end.
complain() {
    advice="install Python $tested or choose it: make search PYTHON=/path/to/python3.$newest"
    case $1 in
        missing) line="$2: no such program; $advice" ;;
        broken) line="$2: not a Python that runs; $advice" ;;
        old) line="$2 is Python $3, too old: $advice" ;;
        new) line="$2 is Python $3, too new for the tested dependencies: $advice" ;;
        venv) line="$2 (Python $3) has no venv: on Debian and Ubuntu apt install python$3-venv; else $advice" ;;
    esac
    echo "$line" >&2
    exit 1
}

if [ -n "${1:-}" ]; then
    judge "$1"
    [ -z "$fault" ] || complain "$fault" "$1" "${version:-}"
    command -v "$1"
    exit
fi

worst=
for name in python3 $candidates python; do
    judge "$name"
    case $fault in
        '')
            command -v "$name"
            exit
            ;;
        missing | broken) ;;
        venv) # says more than the version of another Python: this one lacks one package only
            case $worst in venv*) ;; *) worst="venv $name $version" ;; esac ;;
        *) : "${worst:=$fault $name $version}" ;;
    esac
done
# shellcheck disable=SC2086 # split on purpose: fault, name and version hold no blanks here
complain ${worst:-missing python3}
