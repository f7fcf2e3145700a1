#!/usr/bin/env bash
# Python's clients against `forerun serve`: openai, LiteLLM, schemathesis, lm-eval. Needs python3, pip's index and
# FORERUN_SHARED (data); not a part of npm test. Usage: scripts/check-clients.sh [model]
# OUT=folder, LIMIT=questions a task, EXAMPLES=tries of each operation, ONLY="clients schema lm-eval"
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:-SmolLM2-135M-Instruct.Q4_1.gguf}
out=${OUT:-/tmp/forerun-clients}
limit=${LIMIT:-20}
python=$out/venv/bin/python
mkdir -p "$out"
[ -x "$python" ] || python3 -m venv "$out/venv"
"$python" -m pip install --quiet -r scripts/clients/requirements.txt

only=" ${ONLY:-clients schema lm-eval} "

server=
stop() { [ -z "$server" ] || { kill "$server" && wait "$server" || true; server=; }; }
trap stop EXIT
# start COMMAND…: runs a server and sets url to what its first line says.
start() {
  stop
  node --import tsx "$@" >"$out/serve.out" 2>"$out/serve.err" &
  server=$!
  for _ in $(seq 600); do grep -q url "$out/serve.out" && break; kill -0 $server; sleep 0.2; done
  url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$out/serve.out")
}
alive() { curl --silent --fail "$url/health" >/dev/null || { echo "the server is gone after $1" >&2; exit 1; }; }
real() { start src/cli/cli.ts serve -m "$model" --port 0 --api-key k --json; }

if [[ $only == *" clients "* ]]; then
  real
  LITELLM_LOCAL_MODEL_COST_MAP=True "$python" scripts/clients/openai_and_litellm.py "$url/v1" k
  alive clients
fi

if [[ $only == *" schema "* ]]; then
  start scripts/clients/serve-tiny.ts k
  (cd "$out" && venv/bin/schemathesis run "$url/openapi.json" --header "Authorization: Bearer k" \
    --checks not_a_server_error --max-examples "${EXAMPLES:-40}" --phases examples,coverage,fuzzing --seed 1 --no-color)
  alive schemathesis
fi

if [[ $only == *" lm-eval "* ]]; then
  real
  rm -rf "$out/tasks" "$out/samples"
  cp -r scripts/clients/tasks "$out/tasks"
  sed -i "s#FORERUN_DATA#${FORERUN_SHARED:?names the folder with data}/data#" "$out"/tasks/*.yaml
  name=$(curl --silent --header "Authorization: Bearer k" "$url/v1/models" | "$python" -c 'import json,sys; print(json.load(sys.stdin)["data"][0]["id"])')
  OPENAI_API_KEY=k HF_DATASETS_OFFLINE=1 HF_HUB_OFFLINE=1 "$out/venv/bin/lm_eval" run --model local-completions \
    --model_args "model=$name,base_url=$url/v1/completions,tokenizer_backend=remote,auth_token=k,tokenized_requests=True,num_concurrent=2,max_retries=1,max_length=2048" \
    --include_path "$out/tasks" --tasks forerun_arc,forerun_gsm8k --limit "$limit" --log_samples --output_path "$out/samples"
  alive lm-eval
  npx tsx scripts/clients/own-scores.ts "$model" "$out/samples" | tee "$out/scores.json"
fi
