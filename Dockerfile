# docker build -t kinprint .
# docker run --rm -v "$PWD:/models:ro" -v kinprint-cache:/cache kinprint compare base finetune
FROM python:3.12-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[library,server,supply-chain]" && rm -r /wheels
RUN useradd --create-home kinprint && mkdir /cache /models && chown kinprint /cache /models
# compiled code is kept with the fingerprints: a volume at /cache saves both
ENV KINPRINT_CACHE=/cache NUMBA_CACHE_DIR=/cache/numba
USER kinprint
WORKDIR /models
VOLUME /cache
ENTRYPOINT ["kinprint"]
