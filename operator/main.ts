/** The operator's process: configuration, logging, signals, exit codes. 0: asked to stop. 1: failed or lost the lease. 2: configuration. */
import { pino } from 'pino';
import { type Config, readConfig } from './config.ts';
import { OperatorMetrics } from './metrics.ts';
import { createOperator } from './operator.ts';
import { KubeClient } from './runtime/client.ts';
import { messageOf } from './runtime/errors.ts';
import { startServer } from './server.ts';

/** After the signal to stop, running passes may take this long, ms. */
const STOP_MS = 20_000;

/** Far above what a thousand deployments need, and far below what a loop by mistake could ask. */
const REQUEST_RATE = { perSecond: 500, burst: 1_000 };

function configuration(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(2);
  }
}

async function main(): Promise<void> {
  const config = configuration();
  const log = pino({ level: config.LOG_LEVEL });
  const metrics = new OperatorMetrics();
  const client = KubeClient.fromEnvironment({ rate: REQUEST_RATE, onRequest: metrics.runtime.requested });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping');
      stop.abort();
      setTimeout(() => {
        log.error('running passes did not end in time');
        process.exit(1);
      }, STOP_MS).unref();
    });
  }
  const operator = createOperator({
    client,
    log,
    metrics,
    image: {
      name: config.INFERENCE_IMAGE,
      pullPolicy: config.INFERENCE_IMAGE_PULL_POLICY,
      pullSecrets: config.INFERENCE_IMAGE_PULL_SECRETS,
    },
    deviceImages: { cuda: config.INFERENCE_IMAGE_CUDA, tensorrt: config.INFERENCE_IMAGE_TENSORRT },
    namespace: config.POD_NAMESPACE,
    namespaces: config.WATCH_NAMESPACES,
    identity: config.POD_NAME,
    ...(config.LEADER_ELECTION
      ? { lease: { namespace: config.LEASE_NAMESPACE ?? config.POD_NAMESPACE, name: config.LEASE_NAME } }
      : {}),
  });
  const { server, port } = await startServer(config.METRICS_PORT, metrics.registry, operator.ready);
  log.info({ port, namespaces: config.WATCH_NAMESPACES, image: config.INFERENCE_IMAGE }, 'started');
  try {
    await operator.run(stop.signal);
    log.info('stopped');
    process.exitCode = 0;
  } catch (error) {
    // Others may lead by now: whatever still runs here must not write again.
    log.fatal({ error: messageOf(error) }, 'ending');
    process.exit(1);
  } finally {
    server.close();
    server.closeAllConnections();
    await client.config.close();
  }
}

await main();
// Node.js 24 may spin for ever in its tear-down after connections were cut in mid-request; to exit leaves that out.
process.exit();
