#!/bin/sh
# A nightly audit with a dated report, and a file of what has changed since the report before.
#
#     nightly-audit.sh FOLDER [INPUT] [OPTIONS OF pingone-bypass audit]
#
# FOLDER then holds, for each day: audit-DAY.csv with its record, changes-DAY.csv, and latest.csv, a link to the newest report.
# What is older than KEEP_DAYS is removed. The exit code is that of the audit, or of the comparison if that failed: 1 means that
# rows failed, and the report has them; from 2 on, there is no new report.
set -eu
umask 077

cd "$1"
shift
day=$(date -u +%Y-%m-%d)
report="audit-$day.csv"

# `--resume` takes up a run of this day that was stopped, does nothing if it has finished, and begins it otherwise.
audited=0
pingone-bypass audit "$@" --output "$report" --resume || audited=$?
[ "$audited" -le 1 ] || exit "$audited"
ln -sf "$report" latest.csv

before=
for name in audit-????-??-??.csv; do
    [ "$name" = "$report" ] || before=$name
done
if [ -e "$before" ]; then
    # 0: nothing has changed. 1: something has. From 2 on, it is not known.
    compared=0
    pingone-bypass diff "$before" "$report" >"changes-$day.csv" || compared=$?
    [ "$compared" -le 1 ] || exit "$compared"
fi

find . -maxdepth 1 -type f \( -name 'audit-*' -o -name 'changes-*' \) -mtime "+${KEEP_DAYS:-400}" -exec rm -f {} +
exit "$audited"
