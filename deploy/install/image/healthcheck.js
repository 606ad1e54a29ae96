// The image's health check: the process is alive. It does not use /readyz, because a process that waits for Redis
// is alive but not ready, and must not be restarted.
const port = process.env.HM_HEALTH_PORT ?? '8080';
const problem = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(2_000) }).then(
  (reply) => (reply.ok ? undefined : `status ${reply.status}`),
  (error) => String(error.cause ?? error),
);
if (problem !== undefined) {
  console.error(`http://127.0.0.1:${port}/healthz: ${problem}`);
  process.exit(1);
}
