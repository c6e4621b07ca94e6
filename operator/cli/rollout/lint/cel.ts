/** The CEL of our kinds, evaluated as the API server does. */
import { Environment } from '@marcbachmann/cel-js';

class Quantity {
  readonly value: number;

  constructor(text: string) {
    const [, digits, unit = ''] = QUANTITY.exec(text) ?? [];
    const base = unit.endsWith('i') ? 1024 : 1000;
    this.value = Number(digits) * base ** (UNITS.indexOf(unit.replace('i', '').replace('K', 'k')) - UNIT);
  }
}

const UNITS = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const UNIT = UNITS.indexOf('');
const QUANTITY = /^([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?$/;

/** Our rules are ours: unlike conditions of users they need no limits. */
const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false })
  .registerType('Quantity', Quantity)
  .registerFunction('isQuantity(dyn): bool', (text: unknown) => QUANTITY.test(String(text)))
  .registerFunction('quantity(dyn): Quantity', (text: unknown) => new Quantity(String(text)))
  .registerFunction(
    'Quantity.isGreaterThan(Quantity): bool',
    (a: Quantity, b: Quantity) => a.value > b.value,
  );

type Expression = ReturnType<typeof environment.parse>;
const parsed = new Map<string, Expression>();

/** @throws where the expression cannot be evaluated on these values: a rule uses what is not there */
export function evaluate(expression: string, values: Readonly<Record<string, unknown>>): unknown {
  let known = parsed.get(expression);
  if (!known) {
    known = environment.parse(expression);
    parsed.set(expression, known);
  }
  return known({ ...values });
}
