#!/bin/sh
# A grant in eight shards by GNU parallel, and one report of them:
#
#     pingone-bypass grant grants.csv --until 2026-12-01T06:00:00Z --dry-run
#     shards-parallel.sh grants.csv --until 2026-12-01T06:00:00Z --approve DIGEST
#
# It is one line, and `merge`. The options are those of `grant`. DIGEST is what the dry run printed: there is no terminal to ask on. The end date
# is a date: a span such as +4h would count from each shard's own start.
#
# On one machine this is to rehearse shards. By default one address may use 35 % of the licence's rate, and what shares an address shares its
# 35 %: eight processes of one machine are no faster than one. On machines with addresses of their own that share this folder:
#
#     export PARALLEL='--sshlogin one,two,three,four --workdir .'
#
# Settings and secret then come from `--profile`, since the environment does not go along. `--rate` is that of all shards together.
#
# What stopped goes on when the same command is given again: what has finished sends nothing. --retries of GNU parallel would do so at once, also
# after too many failures, which --resume counts anew, because somebody has looked.
# shards.log has each shard's exit code. The exit code is that of `merge`, which refuses shards that are missing or unfinished (2).
set -eu
input=$1
shift
name=$(basename "$input")
name=${name%.*}

# If it is stopped itself, the shards have a minute for their requests in flight (--timeout is 30 s) before they are killed.
failed=0
parallel --jobs 8 --halt never --termseq TERM,60000,KILL,25 --tag --line-buffer --joblog shards.log --quote \
    pingone-bypass grant "$input" --shard {}/8 --resume --progress plain "$@" ::: 0 1 2 3 4 5 6 7 || failed=$?
# Up to 8 it is the number of shards that did not end with 0. More than that: GNU parallel was stopped, or did not understand its options.
[ "$failed" -le 8 ] || exit "$failed"
echo "$failed of 8 shards did not end with 0: shards.log has their exit codes" >&2

# Reports alone match: not their failed.csv, nor partial.csv.
exec pingone-bypass merge "$name.report.csv" "$name".?-of-8.report.csv
