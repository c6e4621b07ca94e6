import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { loadPackage } from '../../models/package.ts';
import { writeColourCuesPackage, writeEyeBlinkPackage } from '../../testing/cue-packages.ts';
import { writeImageFacesPackage, writeVideoFacesPackage } from '../../testing/face-packages.ts';
import { clip, flatImage, inTemporaryFolder } from '../../testing/media.ts';
import {
  writeAudioPackage,
  writeClassifierPackage,
  writeImagePackage,
  writeVideoPackage,
} from '../../testing/packages.ts';
import { writeTemporalPackage, writeVideoAudioPackage } from '../../testing/sequence-packages.ts';
import { addGoldenFiles } from './add.ts';

const writers = {
  'image-residual': writeImagePackage,
  'image-classifier': writeClassifierPackage,
  'image-faces': writeImageFacesPackage,
  'audio-spectrogram': writeAudioPackage,
  'video-frames': writeVideoPackage,
  'video-temporal': writeTemporalPackage,
  'video-audio': writeVideoAudioPackage,
  'video-faces': writeVideoFacesPackage,
  'video-colour-cues': writeColourCuesPackage,
  'video-eye-blink': writeEyeBlinkPackage,
} as const;

interface Unfinished {
  readonly directory: string;
  /** The golden file of the finished package, beside the unfinished one. */
  readonly file: string;
  readonly expected: { readonly score: number; readonly file: string };
  /** Names of all files of the package. */
  files(): Promise<string[]>;
}

/** A package whose `golden` is empty. */
async function withUnfinished(
  family: keyof typeof writers,
  action: (unfinished: Unfinished) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const directory = join(folder, 'package');
    await writers[family](directory);
    const path = join(directory, 'model.yaml');
    const manifest = parse(await readFile(path, 'utf8'));
    const [expected] = manifest.golden;
    const file = join(folder, 'added file.bin');
    await rename(join(directory, expected.file), file);
    await rm(join(directory, 'golden'), { recursive: true });
    await writeFile(path, stringify({ ...manifest, golden: [] }));
    const files = async () => (await readdir(directory, { recursive: true })).sort();
    await action({ directory, file, expected, files });
  });
}

describe('a package without golden files', () => {
  for (const family of Object.keys(writers) as (keyof typeof writers)[]) {
    test(`of ${family} is completed by what the pod says of a file`, async () => {
      await withUnfinished(family, async ({ directory, file, expected }) => {
        await assert.rejects(loadPackage(directory), /golden: Too small/);
        const { digest, files } = await addGoldenFiles({ directory, files: [file], tolerance: 0.03 });
        const [added] = files;
        assert.ok(added !== undefined && Math.abs(added.score - expected.score) < 0.02, `${added?.score}`);
        const completed = await loadPackage(directory);
        assert.equal(completed.digest, digest);
        const { verdict: _, ...entry } = added;
        assert.deepEqual(completed.manifest.golden, [entry]);
        assert.deepEqual([entry.file, entry.tolerance], ['golden/added-file.bin', 0.03]);
      });
    });
  }

  test('takes several files at once, and more of them later', async () => {
    await withUnfinished('image-classifier', async ({ directory, file }) => {
      const gray = join(directory, '..', 'gray.png');
      const black = join(directory, '..', 'black.png');
      await writeFile(gray, await flatImage({ width: 64, height: 64, level: 128, format: 'png' }));
      await writeFile(black, await flatImage({ width: 64, height: 64, level: 0, format: 'png' }));
      await addGoldenFiles({ directory, files: [file, gray], tolerance: 0.02 });
      const { files } = await addGoldenFiles({ directory, files: [black], tolerance: 0.02 });
      assert.deepEqual(
        files.map(({ verdict }) => verdict),
        ['AUTHENTIC'],
      );
      const { manifest } = await loadPackage(directory);
      assert.deepEqual(
        manifest.golden.map(({ file: name, score }) => [name, score.toFixed(1)]),
        [
          ['golden/added-file.bin', '1.0'],
          ['golden/gray.png', '0.5'],
          ['golden/black.png', '0.0'],
        ],
      );
    });
  });

  test('takes a file that lies in its folder already', async () => {
    await withUnfinished('audio-spectrogram', async ({ directory, file, files }) => {
      await mkdir(join(directory, 'golden'));
      await cp(file, join(directory, 'golden/a.wav'));
      await addGoldenFiles({ directory, files: [join(directory, 'golden/a.wav')], tolerance: 0.02 });
      assert.deepEqual(await files(), ['classifier.onnx', 'golden', 'golden/a.wav', 'model.yaml']);
    });
  });
});

describe('a package stays as it was, and one line says why,', () => {
  const emptyVideo = () => clip({ source: 'color=white:size=64x64:rate=10:duration=1', extension: 'mp4' });
  const cases: {
    name: string;
    family: keyof typeof writers;
    change?: (unfinished: Unfinished) => Promise<unknown>;
    message: RegExp;
  }[] = [
    {
      name: 'where the model does not judge the file',
      family: 'video-faces',
      change: async ({ file }) => writeFile(file, await emptyVideo()),
      message: /^golden: .*added file\.bin: the model does not judge it \(no_face\)/,
    },
    {
      name: 'where the file is of another kind',
      family: 'image-faces',
      change: async ({ file }) => writeFile(file, await emptyVideo()),
      message: /^golden: .*added file\.bin: cannot be judged: .*but the media is video/,
    },
    {
      name: 'where the file is not there',
      family: 'image-classifier',
      change: ({ file }) => rm(file),
      message: /^golden: .*added file\.bin: cannot be read \(ENOENT/,
    },
    {
      name: 'where the graph gives no number',
      family: 'image-classifier',
      change: ({ directory }) =>
        writeClassifierPackage(directory, {
          pipeline: { mean: [0.5, 1.5, 0.5], std: [1e-45, 1e-45, 1e-45] },
          manifest: { golden: [] },
        }),
      message: /^golden: .*added file\.bin: cannot be judged: the graph answered .* not finite$/,
    },
    {
      name: 'where a graph is damaged',
      family: 'video-temporal',
      change: ({ directory }) => writeFile(join(directory, 'encoder.onnx'), 'damaged'),
      message: /encoder\.onnx: the SHA-256 is/,
    },
    {
      name: 'where nothing can be written',
      family: 'image-classifier',
      change: ({ directory }) => writeFile(join(directory, 'golden'), 'a file'),
      message: /^golden: .*golden.added-file\.bin: cannot be written \(/,
    },
    {
      name: 'where another file has the name',
      family: 'image-classifier',
      change: async ({ directory }) => {
        await mkdir(join(directory, 'golden'));
        await writeFile(join(directory, 'golden/added-file.bin'), 'another');
      },
      message: /^golden: .*another file has this name already/,
    },
    {
      name: 'where there is no list to add to',
      family: 'image-classifier',
      change: ({ directory }) => writeFile(join(directory, 'model.yaml'), 'name: x\n'),
      message: /^golden: .*model\.yaml: there is no list called golden/,
    },
  ];
  for (const { name, family, change, message } of cases) {
    test(name, async () => {
      await withUnfinished(family, async (unfinished) => {
        await change?.(unfinished);
        const { directory, file, files } = unfinished;
        const before = [await files(), await readFile(join(directory, 'model.yaml'), 'utf8')];
        await assert.rejects(
          addGoldenFiles({ directory, files: [file], tolerance: 0.02 }),
          (error: Error) => {
            assert.match(error.message, message);
            assert.doesNotMatch(error.message, /\n/);
            return true;
          },
        );
        assert.deepEqual([await files(), await readFile(join(directory, 'model.yaml'), 'utf8')], before);
      });
    });
  }

  test('where the file is listed already', async () => {
    await withUnfinished('image-classifier', async ({ directory, file }) => {
      await addGoldenFiles({ directory, files: [file], tolerance: 0.02 });
      const again = join(directory, '..', 'again.png');
      await cp(file, again);
      await assert.rejects(addGoldenFiles({ directory, files: [again], tolerance: 0.02 }), {
        message: /golden\/again\.png is the same as golden\/added-file\.bin, which is listed already$/,
      });
      assert.deepEqual(await readdir(join(directory, 'golden')), ['added-file.bin']);
    });
  });

  for (const { goldenTolerance, refused } of [
    { goldenTolerance: 0.02, refused: true },
    { goldenTolerance: 0.5, refused: false },
  ]) {
    test(`where INT8 gives another score, unless its tolerance (${goldenTolerance}) holds it`, async () => {
      await inTemporaryFolder(async (folder) => {
        const directory = join(folder, 'package');
        await writeClassifierPackage(directory);
        const { sha256 } = (await loadPackage(directory)).manifest.graphs.classifier;
        // The same graph; what differs is the calibration.
        const variant = { precision: 'int8', file: 'classifier.onnx', sha256, goldenTolerance };
        const calibration = { method: 'temperature', temperature: 4 };
        await writeClassifierPackage(directory, {
          graph: { variants: [{ ...variant, calibration }] },
          manifest: { golden: [] },
        });
        const file = join(directory, 'golden/white.png');
        const adding = addGoldenFiles({ directory, files: [file], tolerance: 0.02 });
        if (refused)
          await assert.rejects(adding, {
            message: /: 0\.98\d* in fp32 and 0\.73\d* in int8, more than 0\.02 apart/,
          });
        else assert.match((await adding).digest, /^sha256:/);
      });
    });
  }
});
