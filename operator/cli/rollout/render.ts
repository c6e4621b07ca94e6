/** A rollout as text. Pure. */
import type { AnalysisRun, Measurement, MetricResult } from '../../api/rollout/analysis.ts';
import { type Branch, branches, joined, mark, podBranch, titled } from '../status/render.ts';
import { age, type Drawing, oneLine, type Paint, type Style, table } from '../text.ts';
import { stepPlace } from './situation.ts';
import type { Model, RevisionName, RevisionNode, RolloutView } from './view.ts';

export function renderRollout(view: RolloutView, drawing: Drawing, wide = false): string {
  return [
    table(headOf(view, drawing)),
    table([
      ['NAME', 'KIND', 'STATUS', 'AGE', 'INFO'].map((title) => drawing.paint('bold', title)),
      ...branches(rootOf(view, drawing, wide)),
    ]),
    ...titled('ANALYSES', analysisRows(view.analyses, drawing, wide), drawing),
  ].join('\n\n');
}

function headOf(view: RolloutView, drawing: Drawing): string[][] {
  const { now, paint } = drawing;
  const { step, weight, completion, abort, pauses } = view;
  const ago = (time: string) => `${age(time, now)} ago`;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Name:', view.name],
    ['Namespace:', view.namespace],
    ['Status:', mark(view.phase, paint)],
    ['Message:', oneLine(view.message)],
    ['Strategy:', joined([view.strategy, view.trafficRouting && `split by ${view.trafficRouting}`])],
    ['Step:', step && stepPlace(step).replace(/^step /, '')],
    ['Weight:', weight && weightText(weight, paint)],
    ['Current:', revisionText(view.current)],
    ['Stable:', view.stable?.revision === view.current?.revision ? undefined : revisionText(view.stable)],
    ['Undo:', view.rollbackTo && `held at revision ${view.rollbackTo} until undo --cancel`],
    ['Paused:', pauses.map(({ reason, startTime }) => `${reason} since ${age(startTime, now)}`).join(', ')],
    [
      'Aborted:',
      abort &&
        paint('bad', joined([abort.at && ago(abort.at), abort.reason && oneLine(abort.reason)]) || 'now'),
    ],
    ['Promoted:', view.promotedFully ? 'in full: the remaining steps are skipped' : undefined],
    [
      'Last end:',
      completion && `${completion.status}, revision ${completion.revision}, ${ago(completion.at)}`,
    ],
    ['Scale down:', view.scaleDownAt && `of the revision that was left, ${whenText(view.scaleDownAt, now)}`],
    ['Pods:', `${view.pods.total}, of them ${view.pods.ready} ready`],
  ];
  return rows.flatMap(([title, value]) => (value ? [[title, value]] : []));
}

function weightText({ set, achieved, verified }: NonNullable<RolloutView['weight']>, paint: Paint): string {
  const text = `canary ${set} %, actual ${Math.round(achieved * 10) / 10} %`;
  return verified ? text : `${text}, ${paint('busy', 'not yet taken over')}`;
}

const revisionText = (name: RevisionName | undefined) =>
  name && `${name.revision}${name.models.length > 0 ? ` (${modelsText(name.models)})` : ''}`;

export const modelsText = (models: readonly Model[]) =>
  models.map(({ name, version }) => `${name} ${version}`).join(', ');

function whenText(time: string, now: number): string {
  const ms = Date.parse(time) - now;
  return ms > 0 ? `in ${age(new Date(now).toISOString(), now + ms)}` : 'now';
}

function rootOf(view: RolloutView, drawing: Drawing, wide: boolean): Branch {
  return {
    cells: [view.name, 'ModelDeployment', mark(view.phase, drawing.paint), age(view.createdAt, drawing.now)],
    children: view.revisions.map((node) => revisionBranch(node, drawing, wide)),
  };
}

function revisionBranch(node: RevisionNode, drawing: Drawing, wide: boolean): Branch {
  const { deployment, pods } = node;
  const children = pods.map((pod) => podBranch(pod, drawing));
  const models = wide
    ? node.models.map(({ name, version, digest }) => `${name} ${version} ${digest}`).join(', ')
    : modelsText(node.models);
  return {
    cells: [
      `revision ${node.revision}`,
      '',
      '',
      age(node.createdAt, drawing.now),
      joined([node.roles.join(' and '), models]),
    ],
    children: deployment ? [{ cells: workloadCells(deployment, drawing), children }] : children,
  };
}

function workloadCells(
  { name, wanted, ready, createdAt }: NonNullable<RevisionNode['deployment']>,
  { now, paint }: Drawing,
): string[] {
  const full = ready === wanted;
  const counts = paint(
    wanted === 0 ? 'dim' : full ? 'good' : 'busy',
    `${full ? '✔' : '◌'} ${ready}/${wanted} ready`,
  );
  return [name, 'Deployment', counts, age(createdAt, now)];
}

const ANALYSIS_LOOKS: Readonly<Record<AnalysisRun['phase'], readonly [symbol: string, style: Style]>> = {
  Pending: ['◌', 'busy'],
  Running: ['◌', 'busy'],
  Successful: ['✔', 'good'],
  Failed: ['✖', 'bad'],
  Error: ['✖', 'bad'],
  Inconclusive: ['?', 'warning'],
};

function analysisMark(phase: AnalysisRun['phase'], paint: Paint): string {
  const [symbol, style] = ANALYSIS_LOOKS[phase] ?? ['?', 'warning'];
  return paint(style, `${symbol} ${phase}`);
}

function analysisRows(runs: readonly AnalysisRun[], drawing: Drawing, wide: boolean): string[][] {
  if (runs.length === 0) return [];
  const titles = ['NAME', 'PHASE', 'AGE', 'COUNTS', 'LAST', 'INFO'];
  return [
    titles.map((title) => drawing.paint('bold', title)),
    ...runs.flatMap((run) => branches(analysisBranch(run, drawing, wide))),
  ];
}

function analysisBranch(run: AnalysisRun, drawing: Drawing, wide: boolean): Branch {
  const { now, paint } = drawing;
  const ended = run.finishedAt === undefined ? undefined : `ended ${age(run.finishedAt, now)} ago`;
  const info = joined([`of revision ${run.revision}`, ended, run.message && oneLine(run.message)]);
  return {
    cells: [run.id, analysisMark(run.phase, paint), age(run.startedAt, now), '', '', info],
    children: (run.metrics ?? []).map((metric) => metricBranch(metric, drawing, wide)),
  };
}

function metricBranch(metric: MetricResult, { now, paint }: Drawing, wide: boolean): Branch {
  const { name, phase, message, measurements = [] } = metric;
  const last = measurements.at(-1);
  const measured = last?.finishedAt ?? last?.startedAt;
  return {
    cells: [
      name,
      analysisMark(phase, paint),
      age(measured, now),
      countsText(metric),
      lastValue(last),
      message === undefined ? '' : oneLine(message),
    ],
    children: wide ? measurements.map((one) => measurementBranch(one, { now, paint })) : [],
  };
}

function measurementBranch(one: Measurement, { now, paint }: Drawing): Branch {
  const { phase, startedAt, message, job } = one;
  const info = joined([job && `Job ${job}`, message && oneLine(message)]);
  return {
    cells: ['measurement', analysisMark(phase, paint), age(startedAt, now), '', lastValue(one), info],
    children: [],
  };
}

const lastValue = (measurement: Measurement | undefined) => oneLine(measurement?.value ?? '') || '-';

/** `5: 4 successful, 1 failed`; measurements that could not be taken are counted beside. */
function countsText({
  count = 0,
  successful = 0,
  failed = 0,
  inconclusive = 0,
  error = 0,
}: MetricResult): string {
  const parts = [
    [successful, 'successful'],
    [failed, 'failed'],
    [inconclusive, 'inconclusive'],
    [error, 'in error'],
  ] as const;
  const text = parts.flatMap(([number, word]) => (number > 0 ? [`${number} ${word}`] : [])).join(', ');
  return text === '' ? String(count) : `${count + error}: ${text}`;
}
