/** What a run found, as text. Pure. */
import type { Finding, FuzzReport } from './run.ts';

export function reportText({ outcomes, findings, memory, seconds, seedsDigest }: FuzzReport): string {
  const rows = [...outcomes]
    .sort(([a], [b]) => a.localeCompare(b))
    .flatMap(([kind, counts]) =>
      [...counts]
        .sort(([, a], [, b]) => b - a)
        .map(([outcome, count]) => `${String(count).padStart(8)}  ${kind}  ${outcome}`),
    );
  const total = [...outcomes.values()].flatMap((counts) => [...counts.values()]).reduce((a, b) => a + b, 0);
  const { warmMiB, endMiB, peakMiB } = memory;
  const warm = warmMiB === undefined ? '' : `${warmMiB.toFixed(0)} MiB when warm, `;
  return [
    ...rows,
    `${total} cases of the files ${seedsDigest} in ${seconds.toFixed(0)} s, ${(total / seconds).toFixed(1)} a second`,
    `resident: ${warm}${endMiB.toFixed(0)} MiB at the end, ${peakMiB.toFixed(0)} MiB at most`,
    `${findings.length} findings`,
    ...findings.map(findingText),
  ].join('\n');
}

function findingText({ what, cases }: Finding): string {
  return `  ${what}${cases.length === 0 ? '' : ` (case ${cases.map(({ index }) => index).join(', ')})`}`;
}
