import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { durationMs, GLOBAL_OPTIONS, LONGEST_TIMER_MS, parseCommandLine, timerMs } from './arguments.ts';
import { type Command, defineCommand } from './command.ts';
import { COMMANDS } from './commands.ts';
import { offerFor } from './completion.ts';
import { CommandError, EXIT } from './errors.ts';
import { helpOf, overview } from './help.ts';

const verb = (name: string): Command =>
  defineCommand({
    name,
    summary: `does ${name}`,
    operands: [{ name: 'NAME', optional: true, completes: 'modeldeployments' }],
    options: {
      tail: { type: 'string', value: 'LINES', help: 'Last lines.' },
      output: { type: 'string', short: 'o', choices: ['json', 'yaml'], help: 'Format.' },
      watch: { type: 'boolean', short: 'w', help: 'Stay.' },
    },
    run: async () => EXIT.ok,
  });
const TABLE = [verb('logs'), verb('rollout'), verb('rollout promote')];

const parsed = (...words: string[]) => {
  const line = parseCommandLine(words, TABLE);
  assert.ok(line.wants === 'run');
  const { command, globals, values, operands } = line;
  return { command: command.name, namespace: globals.namespace, values: { ...values }, operands };
};

describe('a command line', () => {
  it('may have options before and after the command and its operand', () => {
    const expected = {
      command: 'logs',
      namespace: 'ns',
      values: { namespace: 'ns', tail: '5' },
      operands: ['d'],
    };
    assert.deepEqual(parsed('-n', 'ns', '--tail', '5', 'logs', 'd'), expected);
    assert.deepEqual(parsed('logs', 'd', '--namespace=ns', '--tail=5'), expected);
    assert.deepEqual(parsed('logs', '-n=ns', 'd', '--tail', '5'), expected);
  });

  it('names the longest command of several words', () => {
    assert.equal(parsed('rollout', '-n', 'ns', 'promote', 'd').command, 'rollout promote');
    assert.deepEqual(parsed('rollout', 'other').operands, ['other']);
  });

  it('takes a word after -- as it is', () => {
    assert.deepEqual(parsed('logs', '--', '-d').operands, ['-d']);
  });

  it('asks for help of a command, or of all', () => {
    for (const words of [[], ['-h'], ['--help']]) {
      assert.deepEqual(parseCommandLine(words, TABLE), { wants: 'help', command: undefined });
    }
    assert.deepEqual(parseCommandLine(['logs', 'a', 'b', '--help'], TABLE), {
      wants: 'help',
      command: TABLE[0],
    });
  });

  const mistakes: readonly [string, readonly string[], string][] = [
    [
      'an unknown command',
      ['statsu', 'd'],
      'there is no command "statsu d"; there are: logs, rollout, rollout promote',
    ],
    ['an unknown option', ['logs', '--tial', '5'], "Unknown option '--tial'; see --help"],
    [
      'an option without its value',
      ['logs', '--tail'],
      "Option '--tail <value>' argument missing; see --help",
    ],
    [
      'a value for a switch',
      ['logs', '--watch=1'],
      "Option '-w, --watch' does not take an argument; see --help",
    ],
    ['one argument too many', ['logs', 'a', 'b'], 'logs: "b" is one argument too many; see logs --help'],
    [
      'a value that is not allowed',
      ['logs', '-o', 'xml'],
      '--output has to be one of json, yaml; found "xml"',
    ],
  ];
  for (const [name, words, message] of mistakes) {
    it(`tells ${name}`, () => {
      assert.throws(() => parseCommandLine(words, TABLE), new CommandError(message, EXIT.usage));
    });
  }

  it('tells the verbs of a group where none of them is named', () => {
    const commands = [verb('logs'), verb('rollout promote'), verb('rollout get')];
    const message = 'there is no command "rollout gte d"; there are: rollout promote, rollout get';
    assert.throws(
      () => parseCommandLine(['rollout', 'gte', 'd'], commands),
      new CommandError(message, EXIT.usage),
    );
  });

  it('takes any number of a repeated operand, and one at least', () => {
    const line = (...words: string[]) => parseCommandLine(['rollout', 'lint', ...words], COMMANDS);
    const many = line('a.yaml', 'b.yaml', 'c.yaml');
    assert.ok(many.wants === 'run');
    assert.deepEqual(many.operands, ['a.yaml', 'b.yaml', 'c.yaml']);
    const message = 'rollout lint needs FILE; see rollout lint --help';
    assert.throws(() => line(), new CommandError(message, EXIT.usage));
    assert.match(helpOf(many.command), /^ {2}kubectl deepfake rollout lint FILE\.\.\. \[options\]$/m);
  });

  it('tells a missing operand', () => {
    const message = 'analyze needs FILE; see analyze --help';
    assert.throws(() => parseCommandLine(['analyze'], COMMANDS), new CommandError(message, EXIT.usage));
  });
});

describe('a duration', () => {
  const cases: readonly [string | undefined, number | undefined][] = [
    [undefined, undefined],
    ['30', 30_000],
    ['0', 0],
    ['250ms', 250],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
  ];
  for (const [text, expected] of cases)
    it(`${text}`, () => assert.equal(durationMs('since', text), expected));
  for (const text of ['', 'soon', '5 s', '-1s', '1d']) {
    it(`"${text}" is none`, () =>
      assert.throws(
        () => durationMs('since', text),
        /^CommandError: --since has to be a duration such as 30s/,
      ));
  }
});

it('a timer is never asked for more than it can hold', () => {
  assert.equal(timerMs('timeout', '1000h'), LONGEST_TIMER_MS);
  assert.equal(timerMs('timeout', '5s'), 5_000);
  assert.equal(timerMs('timeout', undefined), undefined);
});

describe('the table of commands', () => {
  it('has every name once, and no option that means two things before the command is known', () => {
    const names = COMMANDS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    const meanings = new Map(
      Object.entries(GLOBAL_OPTIONS).map(([name, { type }]) => [name, type as string]),
    );
    for (const { name, options } of COMMANDS) {
      for (const [option, { type }] of Object.entries(options)) {
        assert.ok(!(option in GLOBAL_OPTIONS), `${name} --${option} is an option of every command`);
        assert.equal(meanings.get(option) ?? type, type, `${name} --${option}`);
        meanings.set(option, type);
      }
    }
  });

  it('is what the help shows', () => {
    for (const { name, summary } of COMMANDS) {
      assert.ok(overview(COMMANDS).includes(summary), name);
    }
    const help = helpOf(verb('logs'));
    assert.match(help, /^Usage:\n {2}kubectl deepfake logs \[NAME\] \[options\]$/m);
    assert.match(help, /^ {2}-o, --output VALUE {3}Format\. One of json, yaml\.$/m);
    assert.match(help, /^ {2}-n, --namespace NAME /m);
  });
});

describe('completion', () => {
  const cases: readonly [string, readonly string[], ReturnType<typeof offerFor>][] = [
    ['offers the commands', [''], { from: 'words', words: ['logs', 'rollout'] }],
    ['offers what follows a group', ['rollout', '-n', 'ns', ''], { from: 'modeldeployments' }],
    ['offers the objects of an operand', ['logs', ''], { from: 'modeldeployments' }],
    ['offers nothing after the last operand', ['logs', 'd', ''], { from: 'nothing' }],
    ['offers the values of an option', ['logs', '-o', ''], { from: 'words', words: ['json', 'yaml'] }],
    ['offers namespaces', ['logs', '-n', 'de'], { from: 'namespaces' }],
    ['offers nothing for a value of any kind', ['logs', '--tail', ''], { from: 'nothing' }],
  ];
  for (const [name, words, expected] of cases)
    it(name, () => assert.deepEqual(offerFor(words, TABLE), expected));

  it('offers the revisions of the deployment that was named', () => {
    const undo = ['rollout', 'undo'];
    const revisions = { from: 'revisions', of: 'd' } as const;
    assert.deepEqual(offerFor([...undo, 'd', '--to-revision', ''], COMMANDS), revisions);
    assert.deepEqual(offerFor([...undo, '--to-revision', ''], COMMANDS), { from: 'nothing' });
  });

  it('offers files for every operand of a repeated one', () => {
    assert.deepEqual(offerFor(['rollout', 'lint', 'a.yaml', ''], COMMANDS), { from: 'files' });
  });

  it('offers options of the command and of all', () => {
    const offer = offerFor(['logs', '-'], TABLE);
    assert.ok(offer.from === 'words');
    assert.ok(offer.words.includes('--tail') && offer.words.includes('--namespace'));
  });

  it('offers the second word of a verb whose group is no command', () => {
    const offer = offerFor(['rollout', ''], [verb('rollout promote'), verb('rollout get')]);
    assert.deepEqual(offer, { from: 'words', words: ['promote', 'get'] });
  });
});
