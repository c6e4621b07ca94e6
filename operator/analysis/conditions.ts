/** successCondition and failureCondition: CEL over `result`. Pure. */
import { Environment, EvaluationError, ParseError, TypeError as TypingError } from '@marcbachmann/cel-js';

/** What a condition is about: a number, or one number per series. */
export type Result = number | readonly number[];

export interface Conditions {
  readonly successCondition?: string | undefined;
  readonly failureCondition?: string | undefined;
}

export interface Judgement {
  readonly phase: 'Successful' | 'Failed' | 'Inconclusive' | 'Error';
  /** Why it is not a success. */
  readonly message?: string;
}

/** Conditions come from whoever may write a ModelDeployment: none may keep the operator busy. */
const limits = {
  maxAstNodes: 256,
  maxDepth: 24,
  maxListElements: 16,
  maxMapEntries: 16,
  maxCallArguments: 8,
};
const maxSummary = 200;
/** Of lists inside of lists, e.g. `result.all(a, result.exists(b, a > b))`. */
const maxNestedMacros = 2;
const macros: ReadonlySet<unknown> = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);
/** Regular expressions of this library may take exponential time, and a result has no text. */
const refused: ReadonlySet<unknown> = new Set(['matches']);

const environment = new Environment({ limits, homogeneousAggregateLiterals: false })
  .registerVariable('result', 'dyn')
  .registerFunction('isNaN(dyn): bool', (value: unknown) => Number.isNaN(number(value)))
  .registerFunction(
    'isInf(dyn): bool',
    (value: unknown) => Math.abs(number(value)) === Number.POSITIVE_INFINITY,
  )
  .registerFunction('default(dyn, dyn): dyn', withDefault);

/** An int literal is a bigint here. @throws Error for what is no number */
function number(value: unknown): number {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'number')
    throw new Error('isNaN, isInf and default are about numbers: name one, as in result[0]');
  return value;
}

/** The first sample of a vector, or the number itself; the other value where there is none or it is NaN. */
function withDefault(value: unknown, otherwise: unknown): unknown {
  const first = Array.isArray(value) ? value[0] : value;
  return first === undefined || Number.isNaN(number(first)) ? otherwise : first;
}

/** @returns what is wrong with the text of a condition, or undefined */
export function checkCondition(text: string): string | undefined {
  try {
    const parsed = environment.parse(text);
    const tooMuch = costOf(parsed.ast);
    if (tooMuch !== undefined) return tooMuch;
    const { valid, type, error } = parsed.check();
    if (!valid) return error ? summaryOf(error) : 'its types do not fit';
    return type === 'bool'
      ? undefined
      : `it has to be true or false, and is a ${type === 'dyn' ? 'value' : type}`;
  } catch (error) {
    return summaryOf(error);
  }
}

/** `successCondition: …` of a metric's conditions that do not hold water, or undefined. */
export function checkConditions(conditions: Conditions): string | undefined {
  for (const field of ['successCondition', 'failureCondition'] as const) {
    const text = conditions[field];
    const wrong = text === undefined ? undefined : checkCondition(text);
    if (wrong !== undefined) return `${field}: ${wrong}`;
  }
  return undefined;
}

/**
 * Argo's rules: of one condition alone, its opposite is the other phase; of two, neither is inconclusive. Unlike Argo's, a result
 * that is empty or holds a NaN never succeeds: nothing was measured.
 */
export function judgeByConditions(result: Result, conditions: Conditions): Judgement {
  const wrong = checkConditions(conditions);
  if (wrong !== undefined) return { phase: 'Error', message: wrong };
  const { successCondition, failureCondition } = conditions;
  const success = holds('successCondition', successCondition, result);
  const failure = holds('failureCondition', failureCondition, result);
  const nothing = nothingIn(result);
  const broken = [success, failure].find((outcome) => typeof outcome === 'string');
  if (failure === true) return { phase: 'Failed', message: `failureCondition ${failureCondition} is true` };
  if (nothing !== undefined) return { phase: 'Inconclusive', message: nothing };
  if (typeof broken === 'string') return { phase: 'Error', message: broken };
  if (success === true || (success === undefined && failure === false)) return { phase: 'Successful' };
  if (success === false && failure === undefined)
    return { phase: 'Failed', message: `successCondition ${successCondition} is not true` };
  return { phase: 'Inconclusive', message: 'neither successCondition nor failureCondition is true' };
}

function nothingIn(result: Result): string | undefined {
  const values = typeof result === 'number' ? [result] : result;
  if (values.length === 0) return 'the result is empty';
  return values.some(Number.isNaN) ? 'the result is not a number (NaN)' : undefined;
}

/** A text says why it could not be evaluated. */
function holds(field: string, text: string | undefined, result: Result): boolean | string | undefined {
  if (text === undefined) return undefined;
  try {
    return environment.evaluate(text, { result }) === true;
  } catch (error) {
    return `${field} ${text}: ${summaryOf(error)}`;
  }
}

/** The library's errors carry the source with a caret below it; one line is enough for a status. */
function summaryOf(error: unknown): string {
  const known =
    error instanceof ParseError || error instanceof EvaluationError || error instanceof TypingError;
  const text = known ? error.summary : error instanceof Error ? error.message : String(error);
  return text.length > maxSummary ? `${text.slice(0, maxSummary)}…` : text;
}

/** What makes an expression too costly, or undefined. */
function costOf(node: unknown, nested = 0): string | undefined {
  if (Array.isArray(node)) {
    for (const part of node) {
      const wrong = costOf(part, nested);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
  if (typeof node !== 'object' || node === null || !('args' in node)) return undefined;
  const [name] = Array.isArray(node.args) ? node.args : [];
  const isCall = 'op' in node && (node.op === 'rcall' || node.op === 'call');
  if (isCall && refused.has(name)) return `${name}() is not there: a result is made of numbers`;
  const depth = isCall && macros.has(name) ? nested + 1 : nested;
  if (depth > maxNestedMacros)
    return `more than ${maxNestedMacros} of all, exists, map and filter stand inside each other`;
  return costOf(node.args, depth);
}
