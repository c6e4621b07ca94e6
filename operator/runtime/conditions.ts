/** metav1.Condition, as every kind of ours carries it. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number | undefined;
}

/** A condition before it is known whether it is news. */
export type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The full list for status: the transition time moves only where the status does. */
export function mergeConditions(
  previous: readonly Condition[] | undefined,
  verdicts: readonly Verdict[],
  observedGeneration: number,
  nowMs: number,
): Condition[] {
  return verdicts.map((verdict) => {
    const old = findCondition(previous, verdict.type);
    const lastTransitionTime = old?.status === verdict.status ? old.lastTransitionTime : timestamp(nowMs);
    return { ...verdict, observedGeneration, lastTransitionTime };
  });
}

/** As mergeConditions, but conditions of other types stay. */
export function replaceConditions(
  previous: readonly Condition[] | undefined,
  verdicts: readonly Verdict[],
  observedGeneration: number,
  nowMs: number,
): Condition[] {
  const others = (previous ?? []).filter(({ type }) => verdicts.every((verdict) => verdict.type !== type));
  return mergeConditions(previous, [...others, ...verdicts], observedGeneration, nowMs);
}

export const findCondition = (conditions: readonly Condition[] | undefined, type: string) =>
  conditions?.find((condition) => condition.type === type);

/** metav1.Time: RFC 3339 in whole seconds. */
export const timestamp = (ms: number) => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
/** metav1.MicroTime: the API server refuses fewer than six decimals. */
export const microTimestamp = (ms: number) => new Date(ms).toISOString().replace(/Z$/, '000Z');
