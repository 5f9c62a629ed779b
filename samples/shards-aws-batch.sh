#!/bin/sh
# A grant in eight shards, as an AWS Batch array job, and a job that merges their reports when all have succeeded. Beside this script is
# shards-aws-batch.json, with the job definition and both jobs (Fargate). Write your own names, roles, file system and secret into a copy of it.
#
# Put grants.csv into the EFS file system: all shards read the same bytes. Plan it, and let somebody approve the digest, the same for all shards:
#
#     pingone-bypass grant grants.csv --until 2026-12-01T06:00:00Z --dry-run
#     shards-aws-batch.sh shards-aws-batch.json 2026-12-01T06:00:00Z DIGEST
#
# The end date is a date: a span such as +4h would count from each shard's own start.
#
# - By default one address may use 35 % of the licence's rate, and what shares an address shares its 35 %. With assignPublicIp, in a
#   public subnet, each task has an address of its own. In a private subnet all leave by the NAT gateway, and eight shards are no faster than one.
#   `--rate` is that of all shards together.
# - The image is that with a shell (samples/Containerfile, `--target with-shell`), which starts in /work. The access point of the file system
#   must act as user 65532, and the execution role must read the secret, which is given as PINGONE_CLIENT_SECRET.
# - Exit code 1 means that a shard has finished, but rows failed: they are in its failed.csv. The shell makes it 0, or Batch would try it again and
#   never merge. It hands SIGTERM on, since Batch kills what has not ended 30 s later. A request may take as long (--timeout): what was cut off is in
#   doubt, and settled by the next attempt.
# - 2 (input or settings), 3 (too many failures; --resume counts them anew, because somebody has looked) and 4 (PingOne refuses) are not tried
#   again. Anything else is, and --resume takes it up: so no entry of evaluateOnExit may match all.
# - After a fault is mended, submit it again: each shard goes on where it stopped, and one that has finished sends nothing.
set -eu
jobs=$1 until=$2 plan=$3

aws batch register-job-definition --cli-input-json "$(jq .jobDefinition "$jobs")"
shards=$(aws batch submit-job --query jobId --output text --cli-input-json "$(jq --arg until "$until" --arg plan "$plan" '
    .shards | .containerOverrides.environment = [{ name: "UNTIL", value: $until }, { name: "PLAN", value: $plan }]' "$jobs")")
aws batch submit-job --cli-input-json "$(jq --arg shards "$shards" '.merge | .dependsOn = [{ jobId: $shards }]' "$jobs")"
