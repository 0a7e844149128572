# The engine, the API and the command line. Asterisk has an image of its own: asterisk/Dockerfile.
# Build from the root of the repository: docker build .
FROM python:3.11-slim-bookworm

# flite speaks the prompts; `dcx up` takes the same program out of the packages it fetches.
RUN apt-get update \
 && apt-get install -y --no-install-recommends flite \
 && rm -rf /var/lib/apt/lists/*

COPY . /src
RUN pip install --no-cache-dir '/src[postgres]' && rm -r /src

# The number is fixed because Asterisk's container uses the same one: both write below /var/lib/dcx.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/dcx dcx \
 && install -d -o dcx -g dcx -m 0700 /var/lib/dcx \
 && install -d -o dcx -g dcx -m 0755 /run/dcx

ENV DCX_HOME=/var/lib/dcx PYTHONDONTWRITEBYTECODE=1
USER dcx
WORKDIR /var/lib/dcx
VOLUME /var/lib/dcx
STOPSIGNAL SIGTERM
CMD ["dcx", "run"]
