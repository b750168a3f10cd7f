# The gateway with its embedded PostgreSQL and what is compiled of it, as an ordinary user. Its steps are the Makefile's own.
FROM python:3.12-slim AS compiled

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY Makefile ./
COPY fast fast
COPY smsgate smsgate
RUN make fast-wheel PYTHON=python

# What runs has no compiler.
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /home/smsgate smsgate \
    && install --directory --owner=smsgate --group=smsgate --mode=0700 /var/lib/smsgate

WORKDIR /app
COPY pyproject.toml Makefile README.md LICENSE ./
COPY requirements requirements
COPY smsgate smsgate
RUN make runtime
COPY --from=compiled /app/dist dist
RUN make fast-from-wheel

COPY conf conf
USER smsgate
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SMSGATE_CONFIG=/app/conf/container.toml
VOLUME /var/lib/smsgate
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["smsgate", "run"]
