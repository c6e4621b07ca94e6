import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatSeconds, runSteps, type Step, StepError } from './steps.ts';

const logDir = mkdtempSync(join(tmpdir(), 'steps-'));
after(() => rmSync(logDir, { recursive: true, force: true }));

const step = (name: string, run: Step['run'], ...needed: string[]): Step => ({
  name,
  after: needed,
  remedy: `mend ${name}`,
  run,
});

function runner() {
  const lines: string[] = [];
  return { lines, options: { logDir, print: (line: string) => lines.push(line), now: () => 0 } };
}

describe('runSteps', () => {
  it('runs independent steps side by side and a dependent one after those it needs', async () => {
    const order: string[] = [];
    const record = (name: string, ms: number) => async () => {
      order.push(`${name} begins`);
      await sleep(ms);
      order.push(`${name} ends`);
      return undefined;
    };
    const steps = [
      step('slow', record('slow', 40)),
      step('quick', record('quick', 5)),
      step('last', record('last', 0), 'slow'),
    ];
    const timings = await runSteps(steps, runner().options);
    assert.deepEqual(order, [
      'slow begins',
      'quick begins',
      'quick ends',
      'slow ends',
      'last begins',
      'last ends',
    ]);
    assert.deepEqual(
      timings.map(({ name }) => name),
      ['quick', 'slow', 'last'],
    );
  });

  it('prints each step with the time, its reports and its result, and keeps the reports in its log', async () => {
    const { lines, options } = runner();
    const build = step('build it', async ({ report }) => {
      report('half way');
      return '3 files';
    });
    await runSteps([build], options);
    assert.deepEqual(lines, [
      '   0.0 s  build it  started',
      '   0.0 s  build it  half way',
      '   0.0 s  build it  done in 0.0 s: 3 files',
    ]);
    assert.equal(readFileSync(join(logDir, 'build-it.log'), 'utf8'), 'half way\n');
  });

  it('names step, reason, log and remedy of the failure, aborts what runs and starts nothing after it', async () => {
    let aborted = false;
    let started = false;
    const steps = [
      step('fails', async () => {
        throw new Error('no space left');
      }),
      step('runs', async ({ signal }) => {
        await sleep(10_000, undefined, { signal }).catch(() => {
          aborted = true;
        });
        return undefined;
      }),
      step(
        'never',
        async () => {
          started = true;
          return undefined;
        },
        'fails',
      ),
    ];
    await assert.rejects(runSteps(steps, runner().options), (error) => {
      assert.ok(error instanceof StepError);
      const log = join(logDir, 'fails.log');
      assert.equal(
        error.message,
        `FAILED   fails (after 0.0 s)\n  reason: no space left\n  log:    ${log}\n  remedy: mend fails`,
      );
      assert.match(readFileSync(log, 'utf8'), /no space left/);
      return true;
    });
    assert.deepEqual({ aborted, started }, { aborted: true, started: false });
  });

  it('refuses steps in an order that cannot be', async () => {
    const idle = async () => undefined;
    await assert.rejects(
      runSteps([step('b', idle, 'a'), step('a', idle)], runner().options),
      /"b" comes before "a"/,
    );
    await assert.rejects(
      runSteps([step('a', idle), step('a', idle)], runner().options),
      /two steps are named "a"/,
    );
  });
});

describe('formatSeconds', () => {
  const rows: [number, string][] = [
    [0.04, '0.0 s'],
    [99.94, '99.9 s'],
    [119.6, '2 min 00 s'],
    [187, '3 min 07 s'],
  ];
  for (const [seconds, text] of rows)
    it(`${seconds} is ${text}`, () => assert.equal(formatSeconds(seconds), text));
});
