/** What the answers to labelled files are worth. Pure. A figure that the files cannot give is null, never a number. */

/** What one revision said to a file. */
export type Said =
  | { readonly type: 'scored'; readonly score: number; readonly verdict: string }
  /** It answered that it cannot judge this file. */
  | { readonly type: 'inconclusive'; readonly verdict: string; readonly reasons: readonly string[] }
  | { readonly type: 'unanswered'; readonly reason: string };

export interface ProbedFile {
  readonly path: string;
  readonly fake: boolean;
  readonly canary: Said;
  /** undefined: there is no stable revision to compare with. */
  readonly stable?: Said | undefined;
}

/** Which package answered. */
export interface Answerer {
  readonly model: string;
  readonly version: string;
  readonly digest: string;
  /** Score from which on a file is called fake. */
  readonly threshold: number;
}

export interface SideReport extends Answerer {
  readonly scored: number;
  readonly inconclusive: number;
  readonly unanswered: number;
  /** The commonest reason why files were not answered. */
  readonly why?: string;
  readonly auc: number | null;
  readonly accuracy: number | null;
}

export interface ProbeReport {
  readonly files: number;
  /** Files by which AUC, accuracy and change are measured: those that all revisions scored. */
  readonly compared: number;
  readonly canary: SideReport;
  readonly stable?: SideReport;
  readonly maxScoreChange?: number | null;
  /** Files that both answered, and the share of these whose verdict differs. */
  readonly answered?: number;
  readonly flips?: number | null;
  readonly worst: readonly WorstFile[];
}

export interface WorstFile {
  readonly path: string;
  readonly fake: boolean;
  readonly canary: number | string;
  readonly stable?: number | string;
}

const worstFiles = 5;
const pathLength = 160;

export interface Answerers {
  readonly canary: Answerer;
  readonly stable?: Answerer | undefined;
}

export function probeReport(files: readonly ProbedFile[], answerers: Answerers): ProbeReport {
  const { canary, stable } = answerers;
  const compared = files.filter(
    (file) => scoreOf(file.canary) !== undefined && (!stable || scoreOf(file.stable) !== undefined),
  );
  const report = {
    files: files.length,
    compared: compared.length,
    canary: sideReport(files, compared, canary, (file) => file.canary),
  };
  const worst = worstOf(files);
  if (!stable) return { ...report, worst };
  const answered = files.filter((file) => isAnswer(file.canary) && isAnswer(file.stable));
  const flipped = answered.filter((file) => verdictOf(file.canary) !== verdictOf(file.stable));
  const changes = compared.map((file) => Math.abs((scoreOf(file.canary) ?? 0) - (scoreOf(file.stable) ?? 0)));
  return {
    ...report,
    stable: sideReport(files, compared, stable, (file) => file.stable),
    maxScoreChange: changes.length === 0 ? null : rounded(Math.max(...changes)),
    answered: answered.length,
    flips: answered.length === 0 ? null : rounded(flipped.length / answered.length),
    worst,
  };
}

function sideReport(
  files: readonly ProbedFile[],
  compared: readonly ProbedFile[],
  answerer: Answerer,
  side: (file: ProbedFile) => Said | undefined,
): SideReport {
  const count = (type: Said['type']) => files.filter((file) => side(file)?.type === type).length;
  const scored = compared.map((file) => ({ score: scoreOf(side(file)) ?? 0, fake: file.fake }));
  const right = scored.filter(({ score, fake }) => score >= answerer.threshold === fake).length;
  const why = commonest(files.map((file) => side(file)));
  return {
    ...answerer,
    scored: count('scored'),
    inconclusive: count('inconclusive'),
    unanswered: count('unanswered'),
    ...(why === undefined ? {} : { why }),
    auc: rounded(auc(scored)),
    accuracy: scored.length === 0 ? null : rounded(right / scored.length),
  };
}

/** Area under the ROC curve; ties count one half. null when a class is missing. */
export function auc(scored: readonly { readonly score: number; readonly fake: boolean }[]): number | null {
  const ordered = [...scored].sort((a, b) => a.score - b.score);
  let [reals, wins, at] = [0, 0, 0];
  while (at < ordered.length) {
    const { score } = ordered[at] ?? { score: 0 };
    let [tiedReals, tiedFakes] = [0, 0];
    for (; ordered[at]?.score === score; at += 1) {
      if (ordered[at]?.fake) tiedFakes += 1;
      else tiedReals += 1;
    }
    wins += tiedFakes * (reals + tiedReals / 2);
    reals += tiedReals;
  }
  const pairs = reals * (scored.length - reals);
  return pairs === 0 ? null : wins / pairs;
}

/** Those that the canary judges most wrongly, and worse than the stable revision does; what only it leaves unjudged comes first. */
function worstOf(files: readonly ProbedFile[]): WorstFile[] {
  return files
    .map((file) => ({ file, loss: lossOf(file) }))
    .filter(({ loss }) => loss > 0)
    .sort((a, b) => b.loss - a.loss)
    .slice(0, worstFiles)
    .map(({ file: { path, fake, canary, stable } }) => ({
      path: path.length > pathLength ? `…${path.slice(1 - pathLength)}` : path,
      fake,
      canary: told(canary),
      ...(stable === undefined ? {} : { stable: told(stable) }),
    }));
}

function lossOf({ fake, canary, stable }: ProbedFile): number {
  const wrong = (said: Said | undefined) => {
    const score = scoreOf(said);
    return score === undefined ? undefined : Math.abs(score - (fake ? 1 : 0));
  };
  const ours = wrong(canary);
  const theirs = wrong(stable);
  if (ours === undefined) return theirs === undefined ? 0 : 3 - theirs;
  return ours + Math.max(0, ours - (theirs ?? ours));
}

const told = (said: Said): number | string =>
  said.type === 'scored'
    ? said.score
    : said.type === 'inconclusive'
      ? said.reasons.join(',').slice(0, 60) || 'inconclusive'
      : said.reason.slice(0, 60);

function commonest(said: readonly (Said | undefined)[]): string | undefined {
  const counts = new Map<string, number>();
  for (const one of said)
    if (one?.type === 'unanswered') counts.set(one.reason, (counts.get(one.reason) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0].slice(0, 200);
}

const scoreOf = (said: Said | undefined) => (said?.type === 'scored' ? said.score : undefined);
const isAnswer = (said: Said | undefined) => said !== undefined && said.type !== 'unanswered';
const verdictOf = (said: Said | undefined) =>
  said !== undefined && said.type !== 'unanswered' ? said.verdict : undefined;

function rounded(value: number): number;
function rounded(value: number | null): number | null;
function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1e6) / 1e6;
}
