import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  approximateWeightedCanaryStableReplicaCounts,
  type Counts,
  calculateReplicaCountsForBasicCanary,
  calculateReplicaCountsForTrafficRoutedCanary,
  nextStage,
  type Pods,
  resolveFenceposts,
  scaleDownOthers,
} from './replicas.ts';

/** Pods that are asked for and, unless said otherwise, all available. */
const pods = (desired: number, available = desired): Pods => ({ desired, available });

describe('surge and unavailability of a number of pods', () => {
  const rows: [string, [number | string, number | string, number], [number, number]][] = [
    ['counts are taken as they are', [2, 1, 10], [2, 1]],
    ['a share of surge is rounded up', ['25%', 0, 10], [3, 0]],
    ['a share of unavailability is rounded down', [1, '25%', 10], [1, 2]],
    ['one pod may be missing where rounding leaves nothing of both', [0, '25%', 3], [0, 1]],
    ['no more can be missing than there are', [0, 5, 3], [0, 3]],
    ['nothing is missing of no pods', [0, 1, 0], [0, 0]],
  ];
  for (const [name, [surge, unavailable, replicas], [maxSurge, maxUnavailable]] of rows) {
    it(name, () => {
      assert.deepEqual(resolveFenceposts(surge, unavailable, replicas), { maxSurge, maxUnavailable });
    });
  }
  it('refuses what is neither a count nor a percentage', () => {
    assert.throws(() => resolveFenceposts('25', 0, 4), /25 is neither a count nor a percentage/);
  });
});

describe('counts whose ratio is a weight', () => {
  const rows: [string, [number, number, number], [number, number]][] = [
    ['no canary for 0 %', [10, 0, 1], [0, 10]],
    ['no stable pod for 100 %', [10, 100, 1], [10, 0]],
    ['the larger canary of a tie', [3, 50, 0], [2, 1]],
    ['one more pod where that is closer', [3, 50, 1], [2, 2]],
    ['both have one for the smallest weight', [10, 1, 0], [1, 9]],
    ['both have one for the largest weight', [10, 99, 0], [9, 1]],
    ['one pod is of one revision where there may be no second', [1, 5, 0], [0, 1]],
    ['one pod has a second beside it where there may be', [1, 5, 1], [1, 1]],
    ['no pods are of no revision', [0, 50, 1], [0, 0]],
  ];
  for (const [name, [replicas, weight, maxSurge], [canary, stable]] of rows) {
    it(name, () => {
      const counts = approximateWeightedCanaryStableReplicaCounts(replicas, weight, maxSurge);
      assert.deepEqual(counts, { canary, stable });
    });
  }
});

describe('the next counts behind one Service', () => {
  interface Row {
    readonly replicas: number;
    readonly weight: number;
    readonly maxUnavailable?: number;
    readonly maxSurge?: number;
    readonly canary?: Pods;
    readonly stable?: Pods | undefined;
    readonly others?: readonly Pods[];
  }
  const rows: [string, Row, [number, number]][] = [
    [
      'ten, 10 %, one missing and one more',
      { replicas: 10, weight: 10, maxUnavailable: 1, maxSurge: 1 },
      [1, 9],
    ],
    ['ten, 30 %, three more: the canary comes first', { replicas: 10, weight: 30, maxSurge: 3 }, [3, 10]],
    [
      'ten, 30 %, five missing: stable pods go first',
      { replicas: 10, weight: 30, maxUnavailable: 5 },
      [0, 7],
    ],
    [
      'ten, 5 %, one missing and one more: one of eleven is closer than one of ten',
      { replicas: 10, weight: 5, maxUnavailable: 1, maxSurge: 1 },
      [1, 10],
    ],
    ['one, 5 %, one more', { replicas: 1, weight: 5, maxSurge: 1 }, [1, 1]],
    ['one, 95 %, one more', { replicas: 1, weight: 95, maxSurge: 1 }, [1, 1]],
    [
      'a canary that is not available yet frees no stable pod',
      { replicas: 10, weight: 50, maxSurge: 1, canary: pods(1, 0) },
      [1, 10],
    ],
    [
      'each canary that is available frees one',
      { replicas: 10, weight: 50, maxSurge: 2, canary: pods(2) },
      [2, 8],
    ],
    [
      'the room that this makes is for the next canary',
      { replicas: 10, weight: 50, maxSurge: 2, canary: pods(2), stable: pods(8) },
      [4, 8],
    ],
    [
      'on the way back stable pods come first',
      { replicas: 10, weight: 0, maxSurge: 1, canary: pods(5), stable: pods(5) },
      [5, 6],
    ],
    [
      'and canaries go as they are available',
      { replicas: 10, weight: 0, maxSurge: 1, canary: pods(5), stable: pods(6) },
      [4, 6],
    ],
    [
      'a canary that crashes goes at once',
      { replicas: 10, weight: 0, maxSurge: 3, canary: pods(3, 0), stable: pods(10) },
      [0, 10],
    ],
    [
      'nothing else goes while a third revision has pods',
      {
        replicas: 4,
        weight: 100,
        maxSurge: 0,
        maxUnavailable: 1,
        canary: pods(2),
        stable: pods(1),
        others: [pods(1)],
      },
      [2, 1],
    ],
    [
      'a third revision takes up the room',
      { replicas: 4, weight: 50, maxSurge: 1, canary: pods(0), stable: pods(4), others: [pods(1)] },
      [0, 4],
    ],
    [
      'the first revision comes up in full',
      { replicas: 4, weight: 20, maxSurge: 1, stable: undefined, canary: pods(0) },
      [4, 0],
    ],
  ];
  for (const [name, row, [canary, stable]] of rows) {
    it(name, () => {
      const given = {
        maxUnavailable: 0,
        maxSurge: 0,
        canary: pods(0),
        stable: pods(row.replicas),
        others: [],
        ...row,
      };
      const expected: Counts = { canary, stable };
      assert.deepEqual(calculateReplicaCountsForBasicCanary(given), expected);
    });
  }
  it('goes where it is told, too', () => {
    const limits = { replicas: 4, maxSurge: 1, maxUnavailable: 0, others: [] };
    const goal = { canary: 1, stable: 4 };
    assert.deepEqual(nextStage({ ...limits, goal, canary: pods(0), stable: pods(4) }), goal);
  });
});

describe('the counts behind a router', () => {
  const routed = {
    replicas: 10,
    weight: 25,
    setCanaryScale: undefined,
    dynamicStableScale: false,
    actualWeight: undefined,
    abort: false,
  };
  type Row = Partial<Parameters<typeof calculateReplicaCountsForTrafficRoutedCanary>[0]>;
  const rows: [string, Row, [number, number]][] = [
    ['a share is rounded up, and no stable pod goes', {}, [3, 10]],
    ['a count that the steps set', { setCanaryScale: { replicas: 7 } }, [7, 10]],
    ['a share of pods that the steps set', { setCanaryScale: { weight: 41 } }, [5, 10]],
    ['stable pods go with their share', { dynamicStableScale: true }, [3, 8]],
    ['and not before the router has it', { dynamicStableScale: true, actualWeight: 0 }, [3, 10]],
    ['they come before the router gives it back', { dynamicStableScale: true, actualWeight: 60 }, [3, 8]],
    ['an abort sets all else aside', { setCanaryScale: { replicas: 7 }, abort: true }, [0, 10]],
    [
      'an aborted canary keeps what the router sends it',
      { dynamicStableScale: true, actualWeight: 60, abort: true },
      [6, 10],
    ],
  ];
  for (const [name, row, [canary, stable]] of rows) {
    it(name, () => {
      const counts = calculateReplicaCountsForTrafficRoutedCanary({ ...routed, ...row });
      assert.deepEqual(counts, { canary, stable });
    });
  }
});

describe('revisions that nobody wants any more', () => {
  const rows: [string, Pods[], [number, number], number[]][] = [
    ['go as far as others can do without them', [pods(4)], [10, 8], [2]],
    ['go one after the other', [pods(2), pods(3)], [11, 8], [0, 2]],
    ['go at once as far as they are not available', [pods(4, 1)], [8, 8], [1]],
    ['stay where all of their pods are needed', [pods(4)], [8, 8], [4]],
    ['stay where even more would be needed', [pods(4)], [3, 8], [4]],
  ];
  for (const [name, others, [available, least], counts] of rows) {
    it(name, () => assert.deepEqual(scaleDownOthers(others, { available, least }), counts));
  }
});
