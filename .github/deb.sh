#!/usr/bin/env bash
# Builds the Debian package, with the manual pages and the completions, which the built binary writes. It needs cargo-deb
# (`cargo install cargo-deb --locked`) and dpkg-dev. Arguments go to cargo-deb: `.github/deb.sh --output .`, say.
set -euo pipefail
cd "$(dirname "$0")/.."

# `[package.metadata.deb]` of Cargo.toml takes the files from this folder.
assets=target/deb-assets
target=$(cargo metadata --locked --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
version=$(cargo metadata --locked --no-deps --format-version 1 | sed -n 's/.*"name":"pingone-bypass","version":"\([^"]*\)".*/\1/p')
name=pingone-bypass

cargo build --release --locked
rm -rf "$assets"
mkdir -p "$assets/units"
"$target/release/$name" man "$assets/man"
for shell in bash zsh fish; do
  "$target/release/$name" completions "$shell" >"$assets/$name.$shell"
done

# The units of samples/, without the steps that the package takes, and with its path of the script.
unit=$name-audit.service
{
  echo "# /usr/share/doc/$name/README.Debian says how to enable it."
  sed -e '1,/^\[Unit\]/{/^\[Unit\]/!d}' -e 's#/usr/local/lib/#/usr/lib/#' \
    -e '/^Description=/a Documentation=man:pingone-bypass-audits(7)' "samples/$unit"
} >"$assets/units/$unit"
cp "samples/$name-audit.timer" "$assets/units/"
cp .github/deb/sysusers.conf "$assets/units/$name.sysusers"
! grep -rn /usr/local "$assets/units" || { echo "$assets/units: a path that the package does not have" >&2; exit 1; }

# Debian's own changelog: of the package, not of the program.
date=$(git log -1 --format=%cD 2>/dev/null || date -R)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)
cat >"$assets/changelog.Debian" <<CHANGES
$name ($version-1) unstable; urgency=medium

  * Version $version. changelog.gz says what it changes.

 -- $maintainer  $date
CHANGES

cargo deb --locked --no-build "$@"
