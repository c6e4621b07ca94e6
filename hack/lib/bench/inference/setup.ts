/** Makes what the benchmark needs, once: Python environments, photographs, clips, graphs and the pod's packages. Everything is cached. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { stringify } from 'yaml';
import { ensureHostPackages } from '../../host-packages.ts';
import { cacheDir, REPOSITORY } from '../../paths.ts';
import { run } from '../../process.ts';
import type { Report } from '../../steps.ts';
import type { Ingredients, Medium } from './servers.ts';

export interface Media {
  /** Photographs as cameras and phones send them: 0.7 to 3.7 million pixels. */
  readonly large: readonly Medium[];
  /** About 50 KB each. */
  readonly small: readonly Medium[];
  /** 720p, 30 frames per second, a keyframe every two seconds. */
  readonly clips: { readonly short: Medium; readonly long: Medium };
  readonly recordings: readonly Medium[];
}

const PEERS = join(import.meta.dirname, 'peers');
/** Photographs under free licences, pinned with the media of the training. */
const PHOTOGRAPHS = 'lomiri-wallpapers-16.04';
const largeWidths = [1024, 1280, 1600, 1920, 2240];
const smallWidth = 420;

export async function prepare(
  report: Report,
  { longClipSeconds }: { readonly longClipSeconds: number },
): Promise<{ readonly ingredients: Ingredients; readonly media: Media }> {
  await ensureHostPackages(
    { ffmpeg: 'ffmpeg', '/usr/lib/python3/dist-packages/_distutils_hack': 'python3-venv' },
    report,
  );
  const work = cacheDir('bench', 'inference');
  await mkdir(work, { recursive: true });
  const python = await environmentOf('requirements.txt', report);
  const mlserver = await environmentOf('requirements-mlserver.txt', report);
  const photographs = await ensurePhotographs(join(work, 'media'), report);
  const graphs = await once(
    join(work, `graphs-${await digestOf(PEERS, 'make_model.py')}`),
    async (folder) => {
      report('making the graph, FP32 and INT8');
      await run(
        join(python, 'python'),
        ['make_model.py', folder, ...photographs.large.map((name) => join(photographs.folder, name))],
        {
          cwd: PEERS,
        },
      );
    },
  );
  const media = {
    large: await mediaOf(photographs.folder, photographs.large, 'image/jpeg'),
    small: await mediaOf(photographs.folder, photographs.small, 'image/jpeg'),
    clips: {
      short: await ensureClip(work, photographs, 10, report),
      long: await ensureClip(work, photographs, longClipSeconds, report),
    },
    recordings: await mediaOf(
      join(REPOSITORY, 'test/fixtures/media'),
      ['voice-real.flac', 'voice-fake.flac'],
      'audio/flac',
    ),
  };
  const { scores } = JSON.parse(await readFile(join(graphs, 'scores.json'), 'utf8')) as {
    scores: { fp32: number; int8: number };
  };
  const golden = join(photographs.folder, photographs.large[0] ?? '');
  const ofPictures = (precision: 'fp32' | 'int8') =>
    writePackage(join(work, `packages-${precision}`), {
      modality: 'image',
      pipeline: pictures,
      graph: join(graphs, `${precision}.onnx`),
      golden,
      score: scores[precision],
      tolerance: 0.05,
    });
  const packages = {
    fp32: await ofPictures('fp32'),
    int8: await ofPictures('int8'),
    // Nothing else has scored the clip: whatever the pod says of it is taken.
    video: await writePackage(join(work, 'packages-video'), {
      modality: 'video',
      pipeline: frames,
      graph: join(graphs, 'fp32.onnx'),
      golden: join(work, 'clip-10/clip.mp4'),
      score: 0.5,
      tolerance: 0.5,
    }),
  };
  return {
    ingredients: {
      python: join(python, 'python'),
      mlserver: join(mlserver, 'mlserver'),
      graphs,
      packages,
      processors: availableParallelism(),
      work,
    },
    media,
  };
}

/** The `bin` folder of a Python environment with exactly these requirements. */
async function environmentOf(requirements: string, report: Report): Promise<string> {
  const name = `python-${basename(requirements, '.txt')}-${await digestOf(PEERS, requirements)}`;
  const folder = await once(cacheDir('bench', name), async (target) => {
    report(`installing the Python packages of ${requirements}`);
    await run('python3', ['-m', 'venv', target]);
    const pip = ['install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
    await run(join(target, 'bin/python'), ['-m', 'pip', ...pip, '-r', join(PEERS, requirements)]);
  });
  return join(folder, 'bin');
}

async function ensurePhotographs(folder: string, report: Report) {
  await once(folder, async (target) => {
    report(`fetching photographs (Debian's ${PHOTOGRAPHS})`);
    const pins = JSON.parse(
      await readFile(join(REPOSITORY, 'models/training/media-sources.json'), 'utf8'),
    ) as {
      packages: { name: string; version: string; sha256: string }[];
    };
    const pin = pins.packages.find(({ name }) => name === PHOTOGRAPHS);
    if (pin === undefined) throw new Error(`media-sources.json does not pin ${PHOTOGRAPHS}`);
    const unpacked = join(target, 'package');
    await mkdir(unpacked, { recursive: true });
    await run('apt-get', ['-qq', 'download', `${pin.name}=${pin.version}`], { cwd: unpacked });
    const archive = (await readdir(unpacked)).find((name) => name.endsWith('.deb')) ?? '';
    const bytes = await readFile(join(unpacked, archive));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== pin.sha256)
      throw new Error(`${archive}: the SHA-256 is ${sha256}, but ${pin.sha256} is pinned`);
    await run('dpkg', ['-x', join(unpacked, archive), unpacked]);
    const found = (await readdir(unpacked, { recursive: true })).filter((name) => /\.jpe?g$/i.test(name));
    for (const [index, name] of found.sort().slice(0, 12).entries()) {
      const width = largeWidths[index % largeWidths.length] ?? 1280;
      const source = sharp(join(unpacked, name));
      await source
        .clone()
        .resize({ width })
        .jpeg({ quality: 88 })
        .toFile(join(target, `large-${index}.jpg`));
      await source
        .clone()
        .resize({ width: smallWidth })
        .jpeg({ quality: 85 })
        .toFile(join(target, `small-${index}.jpg`));
    }
    await rm(unpacked, { recursive: true });
  });
  const names = (await readdir(folder)).sort();
  return {
    folder,
    large: names.filter((name) => name.startsWith('large-')),
    small: names.filter((name) => name.startsWith('small-')),
  };
}

/** A slow pan over the photographs: real textures, with motion in every frame. */
async function ensureClip(
  work: string,
  photographs: { readonly folder: string; readonly large: readonly string[] },
  seconds: number,
  report: Report,
): Promise<Medium> {
  const folder = await once(join(work, `clip-${seconds}`), async (target) => {
    report(`making a clip of ${seconds} s`);
    await mkdir(target, { recursive: true });
    const still = join(photographs.folder, photographs.large[4] ?? '');
    const pan = `scale=2560:-2,crop=1280:720:x='(iw-1280)*(0.5+0.5*sin(t/7))':y='(ih-720)*(0.5+0.5*cos(t/5))',format=yuv420p`;
    await run('ffmpeg', [
      ...['-v', 'error', '-loop', '1', '-framerate', '30', '-t', String(seconds), '-i', still],
      ...['-f', 'lavfi', '-t', String(seconds), '-i', 'sine=frequency=220:sample_rate=44100'],
      ...['-vf', pan, '-c:v', 'libx264', '-preset', 'veryfast', '-g', '60', '-c:a', 'aac'],
      ...['-movflags', '+faststart', join(target, 'clip.mp4')],
    ]);
  });
  return {
    name: 'clip.mp4',
    mime: 'video/mp4',
    bytes: await readFile(join(folder, 'clip.mp4')),
  };
}

async function mediaOf(folder: string, names: readonly string[], mime: string): Promise<Medium[]> {
  return Promise.all(names.map(async (name) => ({ name, mime, bytes: await readFile(join(folder, name)) })));
}

const mean = [0.485, 0.456, 0.406];
const std = [0.229, 0.224, 0.225];
const pictures = {
  type: 'image-classifier',
  size: { width: 224, height: 224 },
  fit: 'stretch',
  kernel: 'linear',
  decode: 'shrink',
  channels: 'rgb',
  layout: 'nchw',
  scale: 1 / 255,
  mean,
  std,
  minSide: 32,
};
const frames = {
  type: 'video-frames',
  sampling: { mode: 'uniform', frames: 16 },
  frame: { width: 224, height: 224, fit: 'fill', interpolation: 'bilinear' },
  pixels: { channels: 'rgb', layout: 'nchw', mean, std },
  keyframesOnly: false,
  minFrames: 1,
  aggregation: 'mean-logit',
};

interface PackageContents {
  readonly modality: 'image' | 'video';
  readonly pipeline: object;
  readonly graph: string;
  readonly golden: string;
  readonly score: number;
  readonly tolerance: number;
}

/** A folder with one package around the graph, as a user would write it. */
async function writePackage(folder: string, contents: PackageContents): Promise<string> {
  const { modality, pipeline, graph, golden, score, tolerance } = contents;
  const name = `bench-${modality}`;
  const target = join(folder, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(target, 'golden'), { recursive: true });
  await cp(graph, join(target, 'classifier.onnx'));
  const goldenFile = `golden/${basename(golden)}`;
  await cp(golden, join(target, goldenFile));
  const manifest = {
    formatVersion: 1,
    name,
    version: '1.0.0',
    modality,
    description: 'Random weights: what it says means nothing.',
    pipeline,
    graphs: {
      classifier: {
        file: 'classifier.onnx',
        sha256: await sha256Of(graph),
        input: 'pixels',
        output: 'logit',
      },
    },
    output: { positive: 'fake', activation: 'sigmoid' },
    calibration: { method: 'none' },
    thresholds: { low: 0.3, high: 0.7 },
    golden: [{ file: goldenFile, sha256: await sha256Of(golden), score, tolerance }],
    card: {
      license: 'Apache-2.0',
      status: 'demonstration',
      intendedUse: 'Measuring time.',
      limitations: 'Detects nothing.',
      trainingData: 'None.',
      evaluation: [],
    },
  };
  await writeFile(join(target, 'model.yaml'), stringify(manifest));
  return folder;
}

async function sha256Of(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

async function digestOf(folder: string, ...names: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const name of names) hash.update(await readFile(join(folder, name)));
  return hash.digest('hex').slice(0, 12);
}

/** Makes the folder where it is not there; a making that breaks off leaves nothing under its name. */
async function once(folder: string, make: (folder: string) => Promise<void>): Promise<string> {
  const done = join(folder, '.complete');
  if (existsSync(done)) return folder;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await make(folder);
  await writeFile(`${done}.part`, '');
  await rename(`${done}.part`, done);
  return folder;
}
