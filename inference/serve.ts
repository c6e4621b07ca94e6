/** Puts the pod's parts together and runs them until it is told to stop. */
import { stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { answerSettings } from './cache/judgement.ts';
import { Judgements } from './cache/judgements.ts';
import { RedisStore } from './cache/redis-store.ts';
import { MemoryStore } from './cache/store.ts';
import type { Config } from './config/config.ts';
import { availableProcessors, planThreads } from './engine/cpu-budget.ts';
import { messageOf, StartupError, serviceError } from './errors.ts';
import { openAuditLog } from './http/access/audit.ts';
import { Authenticator } from './http/access/authenticator.ts';
import { modelReadings } from './http/oip/model-readings.ts';
import { Spool, spoolMemory } from './media/spool.ts';
import { activePackages, packageOnDisk } from './models/active-packages.ts';
import { graphsOf } from './models/graphs.ts';
import { canonicalName } from './models/names.ts';
import type { NamedPackage } from './models/package.ts';
import { DecisionLog } from './observability/decision-log.ts';
import type { Logger } from './observability/logger.ts';
import { Metrics } from './observability/metrics.ts';
import { parseProgressEvent, RedisProgressPublisher } from './observability/progress.ts';
import { ProgressBus } from './observability/progress-bus.ts';
import { Statistics } from './observability/statistics.ts';
import { noTracing, type Tracing } from './observability/tracing.ts';
import { registerTritonMetrics } from './observability/triton-metrics.ts';
import type { WorkerEvent } from './pipelines/analysis.ts';
import { Analyzer } from './pipelines/analyzer.ts';
import type { RedisConnection } from './redis/connection.ts';

/** A Redis or a collector that hangs does not hold up the end of the process for longer. */
const farewellMs = 1_000;

export interface RunningServer {
  readonly url: string;
  /**
   * True when the models are ready; false when the server was stopped before, or when one cannot be served and the configuration lets the
   * server stay; rejects with StartupError when it does not.
   */
  readonly ready: Promise<boolean>;
  /** Readiness off, running requests answered (within the grace period), everything released. Resolves to whether all were answered. */
  stop(): Promise<boolean>;
}

/**
 * Listens as soon as it can, so that liveness answers while the models load.
 * @throws StartupError, one line: no packages, or the address cannot be used; DamagedPackageError for a bad package
 */
export async function startServer(config: Config, logger: Logger): Promise<RunningServer> {
  const loading = await packagesOrFailure(config);
  const { packages } = loading;
  const names = packages.map(({ name }) => name);
  const defaultModel = canonicalName(config.defaultModel ?? names[0] ?? '', names);
  const plan = planThreads(availableProcessors(), {
    requestedWorkers: config.workers,
    graphBytes: await graphBytesOf(packages),
    onProcessors: config.device === 'cpu',
  });
  let deadline = performance.now();
  const farewellLeftMs = () => Math.min(farewellMs, Math.max(0, deadline - performance.now()));
  // What a start has opened before it fails is closed, the last one first; so is all of it at the end.
  await using opened = new AsyncDisposableStack();
  const tracing = opened.adopt(await tracingOf(config, logger), (one) => one.close(farewellLeftMs()));
  const redis = await redisOf(config, logger);
  opened.defer(() => redis?.close(farewellLeftMs()));
  const memory = config.cache.backend === 'off' ? undefined : new MemoryStore(config.cache.maxBytes);
  const shared = config.cache.backend === 'redis' && redis !== undefined ? new RedisStore(redis) : undefined;
  const metrics: Metrics = new Metrics({
    readQueue: () => analyzer.poolState().waiting,
    redisIsUp: redis === undefined ? undefined : () => redis.isUp(),
    readCache: memory === undefined ? undefined : () => memory,
    readModels: () => analyzer.models,
    compat: config.metricsCompat,
  });
  const onFile = (file: string, usable: boolean) => metrics.accessFileUsable.set({ file }, usable ? 1 : 0);
  const authenticator = opened.adopt(await Authenticator.open(config.access, { logger, onFile }), closeIt);
  const audit = opened.adopt(openAuditLog(config.access.auditFile, logger), closeIt);
  const spool = opened.adopt(
    await Spool.open({
      maxBytes: config.maxSpoolBytes,
      memory: spoolMemory(config.maxMemoryUploadBytes),
    }),
    closeIt,
  );
  const statistics = new Statistics();
  const analyzer = new Analyzer({
    settings: {
      packages,
      session: { device: config.device, intraOpThreads: plan.intraOpThreads },
      batch: config.batch,
      limitPixels: config.maxImagePixels,
      perturbationRuns: config.perturbationRuns,
      videoLimits: {
        maxSeconds: config.maxVideoSeconds,
        maxPixels: config.maxVideoPixels,
        decoderThreads: config.ffmpegThreads ?? plan.ffmpegThreads,
      },
    },
    defaultModel,
    ensembles: config.ensembles,
    workers: plan.workers,
    maxQueue: config.maxQueue,
    loadPackage: (name) => packageOnDisk(name, config),
    onWorkerEvent: (event) => countWorkerEvent(event, metrics, statistics),
    onWorkerLost: (reason) => {
      metrics.workerRestarts.inc();
      logger.error({ reason }, 'an inference worker stopped and is being replaced');
    },
  });
  opened.adopt(analyzer, closeIt);
  const serving = loading.failure === undefined ? analyzer.start() : Promise.reject(loading.failure);
  // Who waits for it comes later.
  serving.catch(() => undefined);
  registerTritonMetrics(metrics.registry, () => modelReadings(analyzer, statistics));
  const progress = progressBus(config, redis, metrics);
  const judgements = new Judgements({
    analyzer,
    spool,
    stores: [memory, shared].filter((store) => store !== undefined),
    ttlMs: config.cache.ttlMs,
    settings: answerSettings(config),
    onStoreError: () => metrics.cacheResults.inc({ result: 'error' }),
  });
  let draining = false;
  const isDraining = () => draining;
  const uploading = new AbortController();
  const uploadsEnd = uploading.signal;
  // The models are loaded by other threads while this one reads the code of the routes.
  const [{ createServer }, { listen }] = await Promise.all([
    import('./http/server.ts'),
    import('./http/listen.ts'),
  ]);
  const app = await createServer({
    config,
    analyzer,
    judgements,
    spool,
    metrics,
    statistics,
    decisions: new DecisionLog(config.maxLoggedDecisions),
    progress,
    redis,
    authenticator,
    audit,
    logger,
    tracing,
    isDraining,
    uploadsEnd,
  });
  try {
    await listen(app, config);
  } catch (error) {
    await app.close();
    throw new StartupError(
      `${config.host}:${config.port}: cannot listen (${messageOf(error)}); choose another PORT or HOST`,
      1,
      {
        cause: error,
      },
    );
  }
  const { port } = app.server.address() as AddressInfo;
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  const resources = opened.move();
  logger.info({ url, models: names, auth: config.access.mode, ...plan }, 'loading the models');
  return {
    url,
    ready: started(),
    stop: async () => {
      draining = true;
      deadline = performance.now() + config.shutdownGraceMs;
      const uploadsTimer = setTimeout(
        () => uploading.abort(serviceError('not_ready', { reason: 'the process is stopping' })),
        config.shutdownGraceMs / 2,
      );
      const answered = await withinGrace(app.close(), config.shutdownGraceMs);
      clearTimeout(uploadsTimer);
      app.server.closeAllConnections();
      await resources.disposeAsync();
      return answered;
    },
  };

  async function started(): Promise<boolean> {
    try {
      await serving;
      return true;
    } catch (error) {
      if (draining) return false;
      if (config.onLoadFailure === 'exit') throw new StartupError(messageOf(error), 1, { cause: error });
      logger.error({ reason: messageOf(error) }, 'a model cannot be served: alive, but not ready');
      await analyzer.fail(messageOf(error));
      return false;
    }
  }
}

/** On disk; a graph that is not there is told of by the worker that opens it. */
async function graphBytesOf(packages: readonly NamedPackage[]): Promise<number> {
  const graphs = packages.flatMap(({ directory, manifest }) =>
    graphsOf(manifest).map(({ graph }) => join(directory, graph.file)),
  );
  const sizes = graphs.map((path) =>
    stat(path).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

function closeIt(one: { close(): void | Promise<void> }): void | Promise<void> {
  return one.close();
}

/** The client costs memory and time to load, so that only a pod with Redis has it. */
async function redisOf(config: Config, logger: Logger): Promise<RedisConnection | undefined> {
  if (config.redisUrl === undefined) return undefined;
  const { RedisConnection } = await import('./redis/connection.ts');
  return new RedisConnection({ url: config.redisUrl, logger });
}

/** With Redis, every pod hears of what happens in the others. */
function progressBus(config: Config, redis: RedisConnection | undefined, metrics: Metrics): ProgressBus {
  if (redis === undefined) return new ProgressBus();
  const { progressChannel: channel } = config;
  const publisher = new RedisProgressPublisher(redis, channel, (result) =>
    metrics.progressEvents.inc({ result }),
  );
  const bus = new ProgressBus(publisher);
  redis.subscribe(channel, (message) => {
    const event = parseProgressEvent(message);
    if (event !== undefined) bus.receive(event);
  });
  return bus;
}

/** The SDK costs memory and time to load, so that only a pod with a collector has it. */
async function tracingOf(config: Config, logger: Logger): Promise<Tracing> {
  if (config.tracing === undefined) return noTracing;
  const { otlpTracing } = await import('./observability/otlp-tracing.ts');
  return otlpTracing(config.tracing, logger);
}

function countWorkerEvent(event: WorkerEvent, metrics: Metrics, statistics: Statistics): void {
  if (event.type === 'ffmpeg_exit') metrics.ffmpegExits.inc({ reason: event.exit });
  else {
    metrics.batchSizes.observe({ model: event.model }, event.items);
    statistics.executed(event.model, event.items, event.ms);
  }
}

/** A failure ends the start here, or is kept for readiness to tell. */
async function packagesOrFailure(
  config: Config,
): Promise<{ readonly packages: readonly NamedPackage[]; readonly failure?: unknown }> {
  try {
    return { packages: await activePackages(config) };
  } catch (failure) {
    if (config.onLoadFailure === 'exit') throw failure;
    return { packages: [], failure };
  }
}

async function withinGrace(closing: PromiseLike<unknown>, graceMs: number): Promise<boolean> {
  const expired = new Promise<false>((resolve) => {
    setTimeout(() => resolve(false), graceMs).unref();
  });
  return Promise.race([Promise.resolve(closing).then(() => true), expired]);
}
