import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from '../../controllers/kinds.ts';
import { CommandError, EXIT } from '../errors.ts';
import { plain } from '../text.ts';
import { type LogOptions, logQuery, prefixOf, streamsOf } from './streams.ts';

const pod = (name: string, createdAt: string, container: object): Pod =>
  ({
    metadata: { name, namespace: 'ns', creationTimestamp: createdAt },
    status: {
      containerStatuses: [
        { name: 'sidecar', containerID: 'r://sidecar' },
        { name: 'inference', ...container },
      ],
    },
  }) as unknown as Pod;

const run = (containerID: string) => ({ containerID, exitCode: 1 });
const running = { containerID: 'r://a', state: { running: {} } };
const crashing = { containerID: 'r://c2', state: { waiting: {} }, lastState: { terminated: run('r://c2') } };
const runningAgain = {
  containerID: 'r://d1',
  state: { running: {} },
  lastState: { terminated: run('r://d0') },
};

describe('the logs to read', () => {
  it('are those of containers that started, also of those that have ended, the oldest pod first', () => {
    const pods = [
      pod('c', '2026-01-03T00:00:00Z', crashing),
      pod('b', '2026-01-02T00:00:00Z', { containerID: 'r://b', state: { terminated: run('r://b') } }),
      pod('a', '2026-01-01T00:00:00Z', running),
      pod('created', '2026-01-04T00:00:00Z', { containerID: '', state: { waiting: {} } }),
      { metadata: { name: 'unscheduled' }, status: {} } as unknown as Pod,
    ];
    assert.deepEqual(
      streamsOf(pods, 'inference').map(({ pod: name, id }) => [name, id]),
      [
        ['a', 'r://a'],
        ['b', 'r://b'],
        ['c', 'r://c2'],
      ],
    );
  });

  it('of the previous runs are those of containers that ran before', () => {
    const pods = [pod('a', '2026-01-01T00:00:00Z', running), pod('d', '2026-01-03T00:00:00Z', runningAgain)];
    assert.deepEqual(
      streamsOf(pods, 'inference', true).map(({ id }) => id),
      ['r://d0'],
    );
  });
});

const OPTIONS: LogOptions = {
  follow: false,
  previous: false,
  timestamps: false,
  tail: undefined,
  sinceMs: undefined,
};
const given = (options: Partial<LogOptions>) =>
  JSON.parse(JSON.stringify(logQuery('inference', { ...OPTIONS, ...options })));

describe('the query', () => {
  const cases: readonly [string, Partial<LogOptions>, object][] = [
    ['asks for the container alone by default', {}, {}],
    ['asks for the last lines', { tail: '20' }, { tailLines: '20' }],
    ['asks for whole seconds, at least one', { sinceMs: 200 }, { sinceSeconds: 1 }],
    ['follows', { follow: true, timestamps: true }, { follow: true, timestamps: true }],
    ['asks for the previous run', { previous: true }, { previous: true }],
  ];
  for (const [name, options, expected] of cases) {
    it(name, () => assert.deepEqual(given(options), { container: 'inference', ...expected }));
  }

  it('refuses a tail that is no count, and to follow what has ended', () => {
    const usage = (message: string) => new CommandError(message, EXIT.usage);
    assert.throws(() => given({ tail: 'all' }), usage('--tail has to be a number of lines; found "all"'));
    assert.throws(
      () => given({ follow: true, previous: true }),
      usage('--previous is about a run that has ended: leave out --follow'),
    );
  });
});

it('lines begin with their pod, and pods that follow one another look different', () => {
  assert.equal(prefixOf('p', 0, plain), '[p] ');
  const styles = [0, 1, 5].map((order) => prefixOf('p', order, (style) => style));
  assert.notEqual(styles[0], styles[1]);
  assert.equal(styles[0], styles[2]);
});
