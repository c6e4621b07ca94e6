import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError, serviceError } from '../errors.ts';
import { loadPackage, type NamedPackage } from '../models/package.ts';
import { flatImage, inTemporaryFolder } from '../testing/media.ts';
import { type PackageOverrides, writeAudioPackage, writeImagePackage } from '../testing/packages.ts';
import type { WorkerEvent } from './analysis.ts';
import { Analyzer } from './analyzer.ts';

const never = new AbortController().signal;
const hasCode = (code: string) => (error: ServiceError) =>
  error instanceof ServiceError && error.code === code;

async function assignedTo(analyzer: Analyzer, path: string, model: string) {
  const plan = await analyzer.plan({ path }, { model });
  assert.ok(plan.type === 'one');
  return plan.assignment;
}

interface Bench {
  readonly analyzer: Analyzer;
  /** A picture that every picture model calls a fake. */
  readonly picture: string;
  readonly events: readonly WorkerEvent[];
  writePicture(name: string, overrides?: PackageOverrides): Promise<string>;
  remove(name: string): Promise<void>;
  judge(model: string): Promise<string>;
}

/** An analyzer of one worker that serves `picture` and `voice` from a folder which tests may change. */
async function withAnalyzer(action: (bench: Bench) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const packageOnDisk = async (name: string): Promise<NamedPackage> => {
      if (name === 'nobody') throw serviceError('model_not_found', { model: name, known: 'others' });
      return { ...(await loadPackage(join(folder, name))), name, precision: 'fp32' };
    };
    await writeImagePackage(join(folder, 'picture'));
    await writeAudioPackage(join(folder, 'voice'));
    const picture = join(folder, 'white.png');
    await writeFile(picture, await flatImage({ width: 300, height: 300, level: 255, format: 'png' }));
    const events: WorkerEvent[] = [];
    const analyzer = new Analyzer({
      settings: {
        packages: await Promise.all(['picture', 'voice'].map(packageOnDisk)),
        session: { device: 'cpu', intraOpThreads: 1 },
        batch: { maxItems: undefined, maxDelayMs: 0 },
        limitPixels: 1_000_000,
        perturbationRuns: 0,
        videoLimits: { maxSeconds: 60, maxPixels: 1e6, decoderThreads: 1 },
      },
      defaultModel: 'picture',
      workers: 1,
      maxQueue: 100,
      loadPackage: packageOnDisk,
      onWorkerEvent: (event) => events.push(event),
      onWorkerLost: assert.fail,
    });
    try {
      await analyzer.start();
      await action({
        analyzer,
        picture,
        events,
        writePicture: (name, overrides) => writeImagePackage(join(folder, name), overrides),
        remove: (name) => rm(join(folder, name), { recursive: true }),
        judge: async (model) => {
          const assignment = await assignedTo(analyzer, picture, model);
          const { model: judge, analysis } = await analyzer.analyze(assignment, { signal: never });
          return `${judge.name} ${judge.manifest.version}: ${analysis.verdict}`;
        },
      });
    } finally {
      await analyzer.close();
    }
  });
}

const entry = (name: string, version: string | null, state: string, reason: string | null = null) => ({
  name,
  version,
  state,
  reason,
});

describe('a plan for several models', () => {
  for (const models of [
    ['picture', 'second'],
    ['second', 'picture'],
  ]) {
    test(`asks ${models.join(' and ')} for the same beside the score`, async () => {
      await withAnalyzer(async ({ analyzer, picture, writePicture }) => {
        await writePicture('second');
        await analyzer.load('second');
        const extras = { perturb: true, forensics: true } as const;
        const plan = await analyzer.plan({ path: picture }, { models }, extras);
        assert.ok(plan.type === 'several');
        assert.deepEqual(
          plan.assignments.map((assignment) => [assignment.model.name, assignment.extras]),
          models.map((name) => [name, extras]),
        );
      });
    });
  }
});

describe('the models of a running analyzer', () => {
  test('grow by one that is loaded, which answers at once', async () => {
    await withAnalyzer(async ({ analyzer, writePicture, judge }) => {
      await writePicture('late', { version: '3.0.0' });
      await assert.rejects(judge('late'), hasCode('unknown_model'));
      const loaded = analyzer.load('late');
      await new Promise(setImmediate);
      assert.deepEqual(analyzer.index().at(-1), entry('late', null, 'LOADING'));
      await loaded;
      assert.equal(await judge('late'), 'late 3.0.0: DEEPFAKE');
      assert.deepEqual(analyzer.index(), [
        entry('picture', '1.2.3', 'READY'),
        entry('voice', '1.2.3', 'READY'),
        entry('late', '3.0.0', 'READY'),
      ]);
      assert.ok((analyzer.loadMs('late') ?? 0) > 0);
    });
  });

  test('answer without a gap while one is loaded anew, and every answer names the version that judged', async () => {
    await withAnalyzer(async ({ analyzer, writePicture, judge }) => {
      let reloading = true;
      const client = (async () => {
        const answers: string[] = [];
        while (reloading) {
          answers.push(await judge('picture'));
          assert.equal(analyzer.notReadyReason(), undefined);
        }
        return answers;
      })();
      await writePicture('picture', {
        version: '2.0.0',
        manifest: { thresholds: { low: 0.3, high: 0.99 } },
      });
      await analyzer.load('picture');
      const after = await judge('picture');
      reloading = false;
      const answers = new Set([...(await client), after]);
      assert.deepEqual([...answers], ['picture 1.2.3: DEEPFAKE', 'picture 2.0.0: SUSPICIOUS']);
    });
  });

  test('shrink by one that is unloaded: what waits for it is told, the default moves on', async () => {
    await withAnalyzer(async ({ analyzer, picture, writePicture, judge }) => {
      await writePicture('slow', { delays: 400 });
      await analyzer.load('slow');
      const held = [judge('slow'), judge('slow')];
      await new Promise(setImmediate);
      const assignment = await assignedTo(analyzer, picture, 'picture');
      await analyzer.unload('picture');
      await assert.rejects(analyzer.analyze(assignment, { signal: never }), hasCode('unknown_model'));
      assert.deepEqual(await Promise.all(held), ['slow 1.2.3: DEEPFAKE', 'slow 1.2.3: DEEPFAKE']);
      await assert.rejects(judge('picture'), hasCode('unknown_model'));
      assert.equal(analyzer.defaultModel, 'voice');
      assert.equal(analyzer.loadMs('picture'), undefined);
      assert.deepEqual(analyzer.index(), [
        entry('voice', '1.2.3', 'READY'),
        entry('slow', '1.2.3', 'READY'),
        entry('picture', null, 'UNAVAILABLE', 'it was unloaded'),
      ]);
      await analyzer.load('picture');
      assert.equal(analyzer.defaultModel, 'picture');
    });
  });

  test('stay as they are when one of them is damaged on disk', async () => {
    await withAnalyzer(async ({ analyzer, remove, judge }) => {
      await remove('picture');
      await assert.rejects(analyzer.load('picture'), hasCode('model_change_failed'));
      assert.equal(await judge('picture'), 'picture 1.2.3: DEEPFAKE');
      const [picture] = analyzer.index();
      assert.deepEqual([picture?.state, picture?.version], ['READY', '1.2.3']);
      assert.match(picture?.reason ?? '', /model\.yaml: there is no such file/);
    });
  });

  test('stay as they are when another one does not reproduce its golden scores', async () => {
    await withAnalyzer(async ({ analyzer, writePicture, judge }) => {
      await writePicture('wrong', { manifest: { output: { positive: 'real', activation: 'sigmoid' } } });
      await assert.rejects(analyzer.load('wrong'), hasCode('model_change_failed'));
      assert.equal(await judge('picture'), 'picture 1.2.3: DEEPFAKE');
      const wrong = analyzer.index().at(-1);
      assert.deepEqual([wrong?.name, wrong?.state, wrong?.version], ['wrong', 'UNAVAILABLE', null]);
      assert.match(wrong?.reason ?? '', /does not reproduce the exporter's results/);
    });
  });

  test('are not touched by changes that cannot be', async () => {
    await withAnalyzer(async ({ analyzer }) => {
      await assert.rejects(analyzer.load('nobody'), hasCode('model_not_found'));
      await assert.rejects(analyzer.unload('nobody'), hasCode('unknown_model'));
      await analyzer.unload('voice');
      await assert.rejects(analyzer.unload('picture'), hasCode('last_model'));
      assert.deepEqual(analyzer.index(), [
        entry('picture', '1.2.3', 'READY'),
        entry('voice', null, 'UNAVAILABLE', 'it was unloaded'),
      ]);
    });
  });

  test('change one after the other, however many changes are asked for', async () => {
    await withAnalyzer(async ({ analyzer, writePicture }) => {
      await writePicture('one');
      await writePicture('two');
      await Promise.all([analyzer.load('one'), analyzer.load('two'), analyzer.unload('one')]);
      assert.deepEqual(
        analyzer.models.map(({ name }) => name),
        ['picture', 'voice', 'two'],
      );
    });
  });

  test('tell of every run of their graphs', async () => {
    await withAnalyzer(async ({ judge, events }) => {
      const before = events.length;
      await judge('picture');
      const runs = events.slice(before).filter((event) => event.type === 'batch');
      assert.deepEqual(
        runs.map(({ model, items }) => [model, items]),
        Array.from({ length: 4 }, () => ['picture', 1]),
      );
    });
  });
});
