/** `hack/bench inference`: the pod beside the Python stacks that a team would otherwise use, in one run. */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeJson } from '../../files.ts';
import { cacheDir } from '../../paths.ts';
import type { Report } from '../../steps.ts';
import { machineOf } from '../report.ts';
import { markdownReport } from './report.ts';
import {
  measureBursts,
  measureCached,
  measureClips,
  measureColdStart,
  measureFloor,
  measureOpenLoop,
  measurePing,
  memoryOf,
  type Settings,
  withServers,
} from './scenario.ts';
import { cachingServerOf, clipServerOf, multipart, type RunningPeer, serversOf } from './servers.ts';
import { type Media, prepare } from './setup.ts';

export const INFERENCE_USAGE = `usage: hack/bench inference [--rounds 5] [--requests 120] [--rates 10,25] [--out FILE]
  the pod, FastAPI (one worker, and tuned), LitServe and MLServer with the same graph, photographs and clips; prints tables of ratios
  --rounds    how often each server has its turn (default 5)
  --requests  in one turn (default 120)
  --rates     requests per second of the open loop (default 10,25)
  --out       the JSON file (default ${cacheDir('bench', 'inference.json')})`;

export async function benchInference(args: readonly string[], say: Report): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      requests: { type: 'string', default: '120' },
      rates: { type: 'string', default: '10,25' },
      out: { type: 'string', default: cacheDir('bench', 'inference.json') },
    },
  });
  const rounds = Number(values.rounds);
  const settings: Settings = {
    rounds,
    clients: [1, 2, 8, 32],
    requestsPerBurst: Number(values.requests),
    openLoopSeconds: 8,
    coldStarts: rounds,
  };
  const { ingredients, media } = await prepare(say, { longClipSeconds: LONG_CLIP_SECONDS });
  const servers = serversOf(ingredients);
  const machine = machineOf();
  const floor = await measureFloor(
    join(ingredients.graphs, 'fp32.onnx'),
    join(ingredients.work, 'media'),
    media,
    ingredients.work,
  );
  const coldStartMs = await measureColdStart(servers, media, ingredients.work, settings, say);
  const findings = await withServers(servers, ingredients.work, async (running) => ({
    bursts: await measureBursts(running, media, settings, say),
    openLoop: await measureOpenLoop(running, media, values.rates.split(',').map(Number), settings, say),
    ping: await measurePing(running, media, settings, say),
    memory: memoryOf(running),
  }));
  const clips = await withServers(
    [clipServerOf(ingredients), ...servers.filter(({ name }) => name === 'FastAPI')],
    ingredients.work,
    (running) => measureAllClips(running, media, say),
  );
  const cachedMs = await withServers([cachingServerOf(ingredients)], ingredients.work, ([pod]) => {
    if (pod === undefined) throw new Error('there is no pod');
    return measureCached(pod, media);
  });
  const all = { ...findings, floor, coldStartMs, clips, cachedMs };
  writeJson(values.out, {
    machine,
    ...all,
    coldStartMs: Object.fromEntries(coldStartMs),
    clips: clips.map((clip) => ({ ...clip, seconds: Object.fromEntries(clip.seconds) })),
  });
  console.log(
    `\n${machine.cores} cores (${machine.processor}), Node.js ${machine.node}, load average ${machine.loadAverage.toFixed(1)} at the start.\n`,
  );
  console.log(markdownReport(all));
  say(`all figures: ${values.out}`);
}

const LONG_CLIP_SECONDS = 600;
const OPENCV = 'FastAPI, OpenCV';
const PYAV = 'FastAPI, PyAV';

/** Sixteen frames of a clip: the pod, OpenCV reading every frame, and PyAV seeking. */
async function measureAllClips(running: readonly RunningPeer[], media: Media, say: Report) {
  const [pod, peer] = running;
  if (pod === undefined || peer === undefined) throw new Error('two servers are compared');
  const measured = [];
  for (const { title, clipSeconds, clip, rounds, rival } of [
    { title: '16 frames of a 10 s clip', clipSeconds: 10, clip: media.clips.short, rounds: 5, rival: OPENCV },
    {
      title: '16 frames of a 10 min clip',
      clipSeconds: LONG_CLIP_SECONDS,
      clip: media.clips.long,
      rounds: 3,
      rival: PYAV,
    },
  ]) {
    const contestants = [
      { name: 'pod', url: pod.url, request: pod.ask(clip) },
      ...[OPENCV, PYAV].map((name) => ({
        name,
        url: peer.url,
        request: multipart(`/predict/video/${name === OPENCV ? 'opencv' : 'pyav'}`, 'file', clip),
      })),
    ];
    measured.push({ title, clipSeconds, rival, seconds: await measureClips(contestants, rounds, say) });
  }
  return measured;
}
