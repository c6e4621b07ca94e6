/** `hack/bench detectors`: what the shipped packages can tell, scored through the pod's own program. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseManifest } from '../../../../inference/models/manifest.ts';
import { writeJson } from '../../files.ts';
import { cacheDir, REPOSITORY } from '../../paths.ts';
import { run } from '../../process.ts';
import type { Report } from '../../steps.ts';
import { closedLoop, quantileOf } from '../inference/load.ts';
import { multipart, type RunningPeer, startServer } from '../inference/servers.ts';
import { machineOf } from '../report.ts';
import { evaluationFiles } from './document.ts';
import {
  aboutSchema,
  describe,
  MEASUREMENTS,
  type MeasuredModel,
  packagesIn,
  parsed,
  readMeasurements,
  resultsSchema,
} from './measurements.ts';

export const DETECTORS_USAGE = `usage: hack/bench detectors [--only NAME,...] [--data MANIFEST|FOLDER] [--per-source 4] [--rounds 1000] [--train-generators] [--no-robustness]
  scores the shipped packages through the pod's own program, prints their figures and writes docs/evaluation.md with ${MEASUREMENTS}
  --only              serving names (default: all packages in models/ that have test media of their own)
  --data              files of one's own instead of the self-made test media, for the packages named by --only: printed, nothing is written to docs/
  --per-source        test files of each photograph or voice (default 4)
  --rounds            of the bootstrap (default 1000)
  --train-generators  train those generators of test fakes that the cache lacks: minutes; without it their fakes are left out, and the document says so
  --no-robustness     leave the grid of codecs, sizes and noise out`;

const TRAINING = join(REPOSITORY, 'models/training/run');
const LATENCY_FILES = 24;
const LATENCY_REQUESTS = 72;

/** Packages whose test media `models/training/run media` makes. */
const OWN_MEDIA: ReadonlyMap<string, 'image' | 'audio'> = new Map([
  ['image-classifier-net', 'image'],
  ['image-residual-cnn', 'image'],
  ['audio-spectrogram-cnn', 'audio'],
  // They learnt from the same generators and some more, and have not seen the same ones.
  ['audio-waveform-net', 'audio'],
  ['audio-lfcc-cnn', 'audio'],
  ['audio-scattering-net', 'audio'],
]);

interface Settings {
  readonly data: string | undefined;
  readonly perSource: string;
  readonly rounds: string;
  readonly trainGenerators: boolean;
  readonly robustness: boolean;
}

export async function benchDetectors(args: readonly string[], say: Report): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      data: { type: 'string' },
      'per-source': { type: 'string', default: '4' },
      rounds: { type: 'string', default: '1000' },
      'train-generators': { type: 'boolean', default: false },
      'no-robustness': { type: 'boolean', default: false },
    },
  });
  const settings: Settings = {
    data: values.data,
    perSource: values['per-source'],
    rounds: values.rounds,
    trainGenerators: values['train-generators'],
    robustness: !values['no-robustness'],
  };
  const measured: Record<string, MeasuredModel> = {};
  for (const name of chosen(values.only, settings.data)) measured[name] = await measure(name, settings, say);
  if (settings.data !== undefined) return;
  const before = readMeasurements(REPOSITORY)?.models ?? {};
  writeJson(join(REPOSITORY, MEASUREMENTS), { models: { ...before, ...measured } });
  for (const [path, text] of evaluationFiles(describe(REPOSITORY))) {
    mkdirSync(dirname(join(REPOSITORY, path)), { recursive: true });
    writeFileSync(join(REPOSITORY, path), text);
    say(`wrote ${path}`);
  }
}

/** @throws Error for names that are no packages, and for `--data` without a name */
function chosen(only: string | undefined, data: string | undefined): readonly string[] {
  const known = packagesIn(join(REPOSITORY, 'models'));
  if (only === undefined) {
    if (data !== undefined) throw new Error('--data needs --only: say which packages judge these files');
    return known.filter((name) => OWN_MEDIA.has(name));
  }
  const names = only.split(',');
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Error(`no such package: ${unknown.join(', ')}; there are ${known.join(', ')}`);
  const lacking = names.filter((name) => data === undefined && !OWN_MEDIA.has(name));
  if (lacking.length > 0)
    throw new Error(`there are no test media for ${lacking.join(', ')}: bring some with --data`);
  return names;
}

async function measure(name: string, settings: Settings, say: Report): Promise<MeasuredModel> {
  const folder = join(REPOSITORY, 'models', name);
  const manifest = parseManifest(readFileSync(join(folder, 'model.yaml'), 'utf8'));
  const work = cacheDir('bench', 'detectors', name);
  mkdirSync(work, { recursive: true });
  const logFile = join(work, 'log.txt');
  const machine = machineOf();
  const { data, media } = await mediaFor(name, settings, logFile, say);
  const pod = await startServer(podWith(name), work);
  try {
    say(`${name}: scoring through the pod; log: ${logFile}`);
    const out = join(work, 'results');
    const shown = await run(
      TRAINING,
      [
        ...[
          'evaluate',
          folder,
          '--data',
          data,
          '--pod',
          pod.url,
          '--out',
          out,
          '--rounds',
          settings.rounds,
          '--no-plots',
        ],
        ...(settings.robustness ? ['--robustness'] : []),
      ],
      { logFile },
    );
    const latency = await latencyOf(pod, join(out, 'scores.csv'), data);
    console.log(
      `\n${shown.trimEnd()}\n  a file, alone: p50 ${latency.p50Ms.toFixed(0)} ms, p95 ${latency.p95Ms.toFixed(0)} ms\n`,
    );
    const results = parsed(join(out, 'results.json'), resultsSchema);
    const { version, graphs } = manifest;
    return { machine, version, graphSha256: graphs.classifier.sha256, media, results, latency };
  } finally {
    await pod.stop();
  }
}

async function mediaFor(name: string, settings: Settings, logFile: string, say: Report) {
  const modality = OWN_MEDIA.get(name);
  if (settings.data !== undefined || modality === undefined)
    return { data: resolve(settings.data ?? ''), media: { seen: [], unseen: [], leftOut: [] } };
  say(`${name}: making the held-out test media; log: ${logFile}`);
  const training = settings.trainGenerators ? ['--train-generators'] : [];
  const printed = await run(TRAINING, ['media', modality, '--per-source', settings.perSource, ...training], {
    logFile,
  });
  const data = printed.trimEnd().split('\n').at(-1) ?? '';
  return { data, media: parsed(join(dirname(data), 'about.json'), aboutSchema) };
}

/** Serves one package, and knows no result again. */
const podWith = (name: string): Parameters<typeof startServer>[0] => ({
  name: 'pod',
  workingDirectory: REPOSITORY,
  command: () => [process.execPath, 'inference/main.ts', 'serve'],
  environment: (port) => ({
    PORT: String(port),
    HOST: '127.0.0.1',
    MODELS_DIR: join(REPOSITORY, 'models'),
    ACTIVE_MODELS: name,
    LOG_LEVEL: 'warn',
    MALLOC_ARENA_MAX: '2',
    CACHE_BACKEND: 'off',
  }),
  readyPath: '/health/ready',
  pingPath: '/ping',
  ask: (medium) => multipart('/v1/detections', 'media', medium),
});

/** Files that were judged, spread over the list, one request at a time. */
async function latencyOf(pod: RunningPeer, scores: string, data: string): Promise<MeasuredModel['latency']> {
  const base = extname(data) === '' ? data : dirname(data);
  const paths = readFileSync(scores, 'utf8').trimEnd().split('\n').slice(1).map(firstCell);
  const step = Math.max(1, Math.floor(paths.length / LATENCY_FILES));
  const picked = paths.filter((_, index) => index % step === 0).slice(0, LATENCY_FILES);
  const requests = picked.map((path) =>
    pod.ask({
      name: basename(path),
      mime: 'application/octet-stream',
      bytes: readFileSync(join(base, path)),
    }),
  );
  await closedLoop(pod.url, requests, { clients: 1, count: requests.length });
  const {
    latenciesMs,
    failed,
    requests: count,
  } = await closedLoop(pod.url, requests, { clients: 1, count: LATENCY_REQUESTS });
  const [p50Ms, p95Ms] = [quantileOf(latenciesMs, 0.5), quantileOf(latenciesMs, 0.95)];
  return { files: picked.length, requests: count, failed, p50Ms, p95Ms };
}

/** The first value of a CSV line, without its quotes. */
function firstCell(line: string): string {
  const quoted = /^"((?:[^"]|"")*)"/.exec(line)?.[1];
  return quoted === undefined ? (line.split(',', 1)[0] ?? '') : quoted.replaceAll('""', '"');
}
