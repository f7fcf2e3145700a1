"""The Python clients of OpenAI and LiteLLM against a running server: BASE KEY."""

import asyncio
import json
import sys

import litellm
import openai

base, key = sys.argv[1:]
client = openai.OpenAI(base_url=base, api_key=key, max_retries=0)
name = client.models.list().data[0].id
hello = [{"role": "user", "content": "Name three rivers."}]
schema = {
    "type": "object",
    "properties": {"city": {"enum": ["Rome", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
tools = [{"type": "function", "function": {"name": "plan", "description": "Plans a trip", "parameters": schema}}]
forced = {"type": "function", "function": {"name": "plan"}}
common = {"messages": hello, "max_tokens": 16, "temperature": 0}
done = []


def check(label, condition):
    if not condition:
        raise SystemExit(f"{label}: failed")
    done.append(label)


# openai, whole and streamed
whole = client.chat.completions.create(model=name, **common)
text = whole.choices[0].message.content
check("openai chat", text and whole.usage.completion_tokens == 16 and whole.choices[0].finish_reason == "length")
chunks = list(client.chat.completions.create(model=name, stream=True, stream_options={"include_usage": True}, **common))
check("openai stream", "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text)
check("openai stream usage", chunks[-1].usage.completion_tokens == 16)
with client.chat.completions.stream(model=name, **common) as stream:
    check("openai stream helper", "".join(e.delta for e in stream if e.type == "content.delta") == text)
extra = {"decoding": {"method": "lookahead"}}
check("openai extra_body", client.chat.completions.create(model=name, extra_body=extra, **common).choices[0].message.content == text)
predicted = client.chat.completions.create(model=name, prediction={"type": "content", "content": text}, **common)
check("openai prediction", predicted.usage.completion_tokens_details.accepted_prediction_tokens > 0)
logprobs = client.chat.completions.create(model=name, logprobs=True, top_logprobs=2, **common).choices[0].logprobs
check("openai logprobs", len(logprobs.content) == 16 and len(logprobs.content[0].top_logprobs) == 2)
form = {"type": "json_schema", "json_schema": {"name": "trip", "schema": schema, "strict": True}}
trip = client.chat.completions.create(model=name, messages=hello, max_tokens=60, response_format=form)
check("openai schema", set(json.loads(trip.choices[0].message.content)) == {"city", "days"})
called = client.chat.completions.create(model=name, messages=hello, max_tokens=80, tools=tools, tool_choice=forced)
call = called.choices[0].message.tool_calls[0]
check("openai tools", set(json.loads(call.function.arguments)) == {"city", "days"})
echo = client.completions.create(model=name, prompt="One two three", max_tokens=0, echo=True, logprobs=1)
check("openai echo", echo.choices[0].text == "One two three" and echo.choices[0].logprobs.token_logprobs[0] is None)
embedded = client.embeddings.create(model=name, input=["one", "two"])
floats = client.embeddings.create(model=name, input=["one", "two"], encoding_format="float")
near = all(abs(a - b) < 1e-6 for a, b in zip(embedded.data[0].embedding, floats.data[0].embedding))
check("openai embeddings", near and len(embedded.data) == 2)
answer = client.responses.create(model=name, input="Name three rivers.", max_output_tokens=16, temperature=0)
check("openai responses", answer.output_text == text)
try:
    client.chat.completions.create(model="gpt-9", **common)
    check("openai not found", False)
except openai.NotFoundError as failure:
    check("openai not found", failure.code == "model_not_found")
try:
    openai.OpenAI(base_url=base, api_key="wrong", max_retries=0).models.list()
    check("openai key", False)
except openai.AuthenticationError:
    check("openai key", True)


async def many():
    asked = openai.AsyncOpenAI(base_url=base, api_key=key, max_retries=0)
    return await asyncio.gather(*(asked.chat.completions.create(model=name, **common) for _ in range(8)))


check("openai async, eight at once", {a.choices[0].message.content for a in asyncio.run(many())} == {text})

# LiteLLM
lite = {"model": f"openai/{name}", "api_base": base, "api_key": key, "num_retries": 0}
check("litellm chat", litellm.completion(**lite, **common).choices[0].message.content == text)
parts = list(litellm.completion(**lite, **common, stream=True))
check("litellm stream", "".join(p.choices[0].delta.content or "" for p in parts) == text)
called = litellm.completion(**lite, messages=hello, max_tokens=80, tools=tools, tool_choice=forced)
check("litellm tools", set(json.loads(called.choices[0].message.tool_calls[0].function.arguments)) == {"city", "days"})
shaped = litellm.completion(**lite, messages=hello, max_tokens=60, response_format=form)
check("litellm schema", set(json.loads(shaped.choices[0].message.content)) == {"city", "days"})
plain = litellm.text_completion(**{**lite, "model": f"text-completion-openai/{name}"}, prompt="One two", max_tokens=4)
check("litellm completion", plain.usage.completion_tokens == 4)
vectors = litellm.embedding(**lite, input=["one"], encoding_format="float")
check("litellm embedding", len(vectors.data[0]["embedding"]) == len(floats.data[0].embedding))
try:
    litellm.completion(**{**lite, "model": "openai/gpt-9"}, **common)
    check("litellm not found", False)
except litellm.NotFoundError:
    check("litellm not found", True)

print(json.dumps({"passed": len(done), "checks": done, "openai": openai.__version__}))
