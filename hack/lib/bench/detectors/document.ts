/** docs/evaluation.md: every figure comes from a package or from the bench, and what nobody measured is said so. Pure. */
import type {
  Described,
  DescribedModel,
  EvaluationRow,
  Figure,
  MeasuredModel,
  Results,
} from './measurements.ts';
import { reliabilityChart } from './reliability-chart.ts';

/** Columns of the tables of `evaluation.json`, by the metric's name there. */
const cardColumns: readonly (readonly [metric: string, title: string])[] = [
  ['AUC', 'AUC'],
  ['macro paired AUC', 'paired AUC'],
  ['EER', 'EER'],
  ['ECE', 'ECE'],
  ['balanced accuracy outside the abstain band', 'answered right'],
  ['coverage (answered share)', 'answered'],
  ['metadata-only control AUC', 'metadata alone'],
];

const stepColumns: readonly (readonly [metric: string, title: string])[] = [
  ['AUC', 'AUC'],
  ['ECE', 'ECE'],
  ['balanced accuracy outside the abstain band', 'answered right'],
  ['coverage (answered share)', 'answered'],
];

const calibrationFigures = ['ECE', 'MCE', 'Brier score'];

/** Path from the repository's root, and text. */
export function evaluationFiles(described: Described): readonly (readonly [string, string])[] {
  return [
    ['docs/evaluation.md', evaluationDocument(described)],
    ...described.models.flatMap(({ name, measured }) =>
      measured === undefined
        ? []
        : [[chartOf(name), reliabilityChart(name, measured.results.reliability)] as const],
    ),
  ];
}

const chartOf = (name: string) => `docs/evaluation/${name}.svg`;

export function evaluationDocument({ models }: Described): string {
  return `${[
    '# What the shipped detectors can tell, and what not',
    `Generated from \`models/*/evaluation.json\`, \`models/*/model.yaml\` and \`docs/benchmarks/detectors.json\`: \`hack/bench detectors\` measures and writes,
\`npm run codegen\` writes again without measuring. Brackets hold 95 % intervals, bootstrapped over sources (photographs, voices), never over files. How the
figures are defined: \`models/training/detectors/metrics.py\`. The ECE of the cards weighs both classes the same over 10 bins, that of the bench weighs files the
same over 15.`,
    summaryTable(models),
    ...models.flatMap(sectionOf),
    learned,
  ].join('\n\n')}\n`;
}

function summaryTable(models: readonly DescribedModel[]): string {
  const rows = models.map(({ name, manifest, graphBytes, measured }) => [
    `[${name}](#${name}) ${manifest.version}`,
    manifest.modality,
    manifest.card.status,
    `${(graphBytes / 1e6).toFixed(2)} MB`,
    measured === undefined ? notMeasured : `${measured.latency.p50Ms.toFixed(0)} ms`,
  ]);
  return table(['detector', 'judges', 'status', 'graph', 'a file, p50'], rows);
}

const notMeasured = 'not measured';

function sectionOf(model: DescribedModel): readonly string[] {
  const { name, manifest, rows, graphBytes, measured } = model;
  const { card, thresholds } = manifest;
  return [
    `## ${name}`,
    `${manifest.description} Status: **${card.status}**. Answers AUTHENTIC at a score of ${thresholds.low} and below, DEEPFAKE at ${thresholds.high} and above.`,
    `**Must not be used** as evidence, to accuse or to clear a person, or to decide anything without someone looking. ${card.limitations}`,
    `**Meant for**: ${card.intendedUse}`,
    '### In its domain, and on generators it has not seen',
    rows.length === 0
      ? `${capital(notMeasured)}: the package brings no \`evaluation.json\`.`
      : cardTable(rows.filter(isOfCard)),
    ...besideTable(rows.filter((row) => !isOfCard(row))),
    ...(measured === undefined
      ? [
          '### Robustness, calibration, risk, latency',
          `${capital(notMeasured)} for this graph: \`hack/bench detectors\` does.`,
        ]
      : benchSections(model.name, measured)),
    '### Size',
    `${graphBytes} bytes of ONNX. How it compares with a full-size detector of its kind (accuracy, bytes, time) is ${notMeasured}: none is shipped or was run here.`,
  ];
}

function cardTable(rows: readonly EvaluationRow[]): string {
  const datasets = [...new Set(rows.map(({ dataset }) => dataset))];
  const used = cardColumns.filter(([metric]) => rows.some((row) => row.metric === metric));
  return table(
    ['files', ...used.map(([, title]) => title), 'fakes + reals'],
    datasets.map((dataset) => {
      const own = rows.filter((row) => row.dataset === dataset);
      const counted = own.find(({ positives }) => positives !== undefined);
      return [
        dataset,
        ...used.map(([metric]) => {
          const row = own.find((candidate) => candidate.metric === metric);
          return row === undefined
            ? '-'
            : withInterval({ value: row.value, low: row.low ?? null, high: row.high ?? null });
        }),
        counted === undefined ? '-' : `${counted.positives} + ${counted.negatives}`,
      ];
    }),
  );
}

const isOfCard = (row: EvaluationRow) => cardColumns.some(([metric]) => metric === row.metric);

/** What a package tells beside the figures that all cards have: its size, its variants, its checks. */
function besideTable(rows: readonly EvaluationRow[]): readonly string[] {
  if (rows.length === 0) return [];
  const lines = rows.map(({ dataset, metric, value, note = '' }) => [
    dataset,
    metric,
    Number.isInteger(value) ? String(value) : value.toFixed(3),
    note,
  ]);
  return ['### Beside these figures', table(['of', 'figure', 'value', ''], lines)];
}

function benchSections(name: string, { machine, media, results, latency }: MeasuredModel): readonly string[] {
  const { data } = results;
  const reasons = Object.entries(data.leftOut).map(([reason, count]) => `${count} ${reason}`);
  const missing =
    media.leftOut.length === 0
      ? ''
      : ` Fakes by ${media.leftOut.join(', ')} are left out here: these generators were not trained for this run (\`--train-generators\` does it).`;
  const siblings =
    media.unseen.length > 0 || media.seen.length === 0
      ? ''
      : ' All fakes here are by generators of the training, so everything from here to the latency is an upper bound.';
  return [
    '### Through the pod',
    `${data.judged} of ${data.files} held-out files judged (${data.reals} reals, ${data.fakes} fakes, ${data.sources} sources)${reasons.length === 0 ? '' : `; without a score: ${reasons.join(', ')}`}. Decided at the upper threshold.${missing}${siblings}`,
    table(
      ['figure', 'value'],
      Object.entries(results.figures)
        .filter(([figure]) => !calibrationFigures.includes(figure))
        .map(([figure, found]) => [figure, withInterval(found)]),
    ),
    table(
      ['fakes by', 'in training', 'AUC against all reals', 'fakes + reals'],
      Object.entries(results.byGenerator).map(([generator, found]) => [
        generator,
        media.seen.includes(generator) ? 'yes' : media.unseen.includes(generator) ? 'no' : '?',
        withInterval(found),
        `${found.fakes} + ${found.reals}`,
      ]),
    ),
    `A linear classifier on metadata alone: AUC ${withInterval(results.metadataControl)}. Where that is far from one half, the files give the answer away and the figures above flatter.`,
    '### Robustness',
    robustnessTable(results),
    '### Calibration',
    `${calibrationFigures.map((figure) => `${figure} ${withInterval(results.figures[figure])}`).join(', ')} (15 bins, as many fakes as these files have).`,
    `![reliability of ${name}](${chartOf(name).replace('docs/', '')})`,
    '### Risk and coverage',
    'The share of wrong answers (at one half) when only the surest files are answered:',
    riskTable(results.riskCoverage),
    '### Latency',
    `${latency.requests} requests one after the other over ${latency.files} of these files, the pod's own program, no result known before: p50 ${latency.p50Ms.toFixed(0)} ms, p95 ${latency.p95Ms.toFixed(0)} ms, ${latency.failed} failed. ${machine.cores} cores (${machine.processor}), load average ${machine.loadAverage.toFixed(1)} at the start: time that others took is in these figures. On a GPU: ${notMeasured}.`,
  ];
}

function robustnessTable({ robustness, figures }: Results): string {
  if (robustness.length === 0) return `${capital(notMeasured)}.`;
  const cells = (found: Results['figures']) => stepColumns.map(([metric]) => withInterval(found[metric]));
  return table(
    ['both classes after', ...stepColumns.map(([, title]) => title), 'judged'],
    [
      ['nothing', ...cells(figures), ''],
      ...robustness.map(({ step, judged, figures: found }) => [step, ...cells(found ?? {}), String(judged)]),
    ],
  );
}

function riskTable(curve: Results['riskCoverage']): string {
  const rows = [0.25, 0.5, 0.75, 1].flatMap((wanted) => {
    const point = curve.find(({ coverage }) => coverage >= wanted);
    return point === undefined ? [] : [[point.coverage.toFixed(2), point.risk.toFixed(3)]];
  });
  return table(['answered', 'wrong of these'], rows);
}

/** What no measurement says but all of them together; figures stand in the tables above alone. */
const learned = `## What was tried and learned

- **Siblings are easy, strangers are not.** Fakes made by the same kind of tool as those of the training are found; the rows of neural vocoders, speech engines
  and diffusion pictures above are what else there is to expect. Hold generators out by name, and count nothing else as unseen.
- **Compare inside a source.** Pooled AUC over corpora measures which corpus a file is from. Judge sound by paired AUC, pictures after one and the same re-encode
  of both classes, and again at half size.
- **Run the control.** A linear classifier on size, format, level and silence is often better than chance on sets that look clean; where it is, a detector's figures mean little.
- **Poor generators flatter.** Fakes from generators that reconstruct badly give perfect figures and teach nothing ([models/training](../models/training/README.md#what-these-figures-taught)).
- **Honest edits are not fakes.** A residual detector takes resampled photographs for fakes unless resampled photographs are in its real class.
- **Calibration does not travel.** Scores that are calibrated in the domain are boastful outside it, and abstaining by confidence does not help there: what is
  far from the training needs another sign than an unsure score.
- **Phase is not in a magnitude spectrogram.** Fakes that differ in phase alone are invisible to the sound detector by construction.
- **Rejected**: statistics of frequency bands under a linear model, fakes by copy-synthesis alone, and autoencoders trained for seconds.
`.trimEnd();

function withInterval(found: Figure | undefined): string {
  if (found === undefined || found.value === null) return 'not to be had';
  const digits = (value: number) => value.toFixed(3);
  return found.low === null || found.high === null
    ? digits(found.value)
    : `${digits(found.value)} [${digits(found.low)}, ${digits(found.high)}]`;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
