/** The same packets to our server and to a filter on Sendmail's own libmilter, with the same policy: the same answers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { type Line, lettersOf, MtaSide, type Offer, streamOf } from './mta-side.ts';
import { ANSWERED, FULL, missing, Servers, SKIPPING, VERSION_4 } from './servers.ts';

let servers: Servers;
before(async () => {
  if (!missing) servers = await Servers.start();
});
after(() => servers?.stop());

async function compare(offer: Offer, lines: readonly Line[]): Promise<void> {
  const [we, they] = await Promise.all([
    (await MtaSide.to(servers.ours.port)).play(offer, lines),
    (await MtaSide.to(servers.theirs(offer))).play(offer, lines),
  ]);
  assert.deepEqual(we, they, `${JSON.stringify(lines)} ${servers.ours.log.join('\n')}`);
}

/** `M say=r` is one line; the letter alone, too. */
function script(text: string): Line[] {
  return text.split(', ').map((line): Line => {
    const [letter = '', ...marks] = line.split(' ');
    return [letter, marks.length > 0 ? `-${marks.join('-')}` : ''];
  });
}

const options = { skip: missing };

describe('verdicts', options, () => {
  for (const [name, offer] of [
    ['all bits', FULL],
    ['no NR bits', ANSWERED],
    ['version 4', VERSION_4],
  ] as const) {
    describe(name, () => {
      for (const letter of 'carytzm') {
        test(`${letter} at each event`, async () => {
          for (const place of ['C', 'H', 'M', 'R', 'L', 'B', 'U'] as const) {
            if (place === 'U' && letter === 'a') continue; // Below: where we differ.
            const lines = script('C, H, M, U, R, R, T, L, L, N, B, B, E, A, M, R, T, N, E').map(
              (line): Line => (line[0] === place ? [place, `-say=${letter}`] : line),
            );
            await compare(offer, lines);
          }
          for (const mark of ['data', 'eom']) {
            await compare(offer, script(`C, H, M ${mark}=${letter}, R, T, L, N, B, E, A, A, M, R, T, N, E`));
          }
        });
      }
      test('d and s where they mean the same', async () => {
        await compare(
          offer,
          script('C, H, M say=d, A, M, R say=d, A, M data=d, R, T, A, M eom=d, R, T, L, N, B, E'),
        );
        await compare(offer, script('C, H, M, R, T, L say=d, N, B, E, A, M, R, T, N, B say=d, B, E'));
      });
      test('changes to the message', async () => {
        await compare(
          offer,
          script('C, H, M mod=1, R, T, L, N, B, E, A, M, R, T, N, E, M mod=1 eom=a, R, T, N, E'),
        );
        await compare(
          offer,
          script('C, H, M mod=1 eom=y, R, T, L, N, B, E, A, M mod=1, R, T, L say=a, N, B, E'),
        );
      });
    });
  }
});

describe('orders', options, () => {
  for (const lines of [
    'C, H, M, R, T, L, N, B, E, A, A, M, R, T, L, N, B, E, A, A',
    'C, H, M, R, T, L, N, B, E, M, R, T, L, N, B, E',
    'C, H, M, R, A, M, R, T, N, E',
    'C, H, A, A, H, M, A, A, A, M, R, T, N, E',
    'C, H, H, M, R, T, N, E',
    'C, H, M, R, A, H, M, R, T, N, E',
    'C, M, R, T, N, E',
    'C, H, M, R, R say=r, R, T, N, E',
    'C, D H, H, D M, M, D R, R, D T, T, D L, L, D N, N, D B, B, D E, E, A, D M, M',
    'C, U, H, U, M, U, R, U, A, U, M, R, T, N, E, U',
  ]) {
    test(lines, async () => {
      await compare(FULL, script(lines));
      await compare(ANSWERED, script(lines));
    });
  }
});

test('sessions of any kind', { ...options, timeout: 600_000 }, async () => {
  const seldom = (...marks: readonly string[]) =>
    fc.oneof({ weight: 9, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...marks) });
  const said = seldom('-say=r', '-say=t', '-say=y', '-say=a', '-say=d', '-say=m');
  const sessionSaid = seldom('-say=r', '-say=t', '-say=y', '-say=a');
  const sender = fc
    .tuple(
      said,
      seldom('-data=r', '-data=y', '-data=a', '-data=d'),
      fc.constantFrom('', '', '-eom=r', '-eom=a', '-eom=d', '-mod=1', '-mod=1-eom=a', '-mod=1-eom=y'),
    )
    .map((marks) => marks.join(''));
  const many = (letter: string, max: number) =>
    fc.array(
      said.map((text): Line => [letter, text]),
      { minLength: 1, maxLength: max },
    );
  const macros = fc.constantFrom<Line[]>([], [['D', 'E']]);
  const whole = fc
    .tuple(
      sender,
      many('R', 3),
      many('L', 4),
      fc.oneof(many('B', 3), fc.constant([])),
      macros,
      fc.constantFrom(0, 1, 2),
    )
    .map(([marks, rcpts, headers, body, extra, aborts]): Line[] => [
      ['M', marks],
      ...rcpts,
      ['T'],
      ...headers,
      ['N'],
      ...body,
      ...extra,
      ['E'],
      ...Array<Line>(aborts).fill(['A']),
    ]);
  // After a message-final verdict of one part the rest is left out, so cutting anywhere is legal; ABORT ends what is cut.
  const cut = fc
    .tuple(whole, fc.nat())
    .map(([lines, at]): Line[] => [...lines.slice(0, 1 + (at % lines.length)), ['A']]);
  const unknown = sessionSaid.map((text): Line[] => [['U', text.replace('=a', '=r')]]);
  const helo = sessionSaid.map((text): Line[] => [['H', text]]);
  const session = fc
    .tuple(
      sessionSaid,
      helo,
      fc.array(fc.oneof({ weight: 4, arbitrary: whole }, { weight: 2, arbitrary: cut }, unknown, helo), {
        maxLength: 5,
      }),
    )
    .map(([connect, hello, rest]): Line[] => [['C', connect], ...hello, ...rest.flat()]);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(FULL, ANSWERED, VERSION_4), session, (offer, lines) =>
      compare(offer, lines),
    ),
    { numRuns: 400 },
  );
});

describe('where we differ, and why', options, () => {
  const rows: readonly (readonly [why: string, offer: Offer, lines: string, ours: string, theirs: string])[] =
    [
      ['accept at an unknown command: there is nothing to accept', FULL, 'C, H, U say=a, Q', 'Occc', 'Occa'],
      [
        'discard at CONNECT: Sendmail would switch the filter off and deliver; each message is discarded at its MAIL',
        FULL,
        'C say=d, H, M, A, M, Q',
        'Occdd',
        'Odccc',
      ],
      ['discard at HELO: both MTAs ignore it', FULL, 'C, H say=d, M, Q', 'Occd', 'Ocdc'],
      [
        'SKIP outside the body: Sendmail would leave out the body or bypass the filter',
        SKIPPING,
        'C, H, M, R say=s, R, T, L say=s, L, N, B say=s, B, E, Q',
        'Occcccccccscc',
        'Occcsccccsscc',
      ],
      [
        'SKIP that was not agreed on',
        ANSWERED,
        'C, H, M, R, T, N, B say=s, B, E, Q',
        'Occccccccc',
        'Occccccscc',
      ],
      [
        'a last chunk in the end of message that decides: one reply',
        ANSWERED,
        'C, H, M, R, T, N, E say=r, Q',
        'Occccccr',
        'Occccccrr',
      ],
      [
        'a refused DATA, then RCPT: the transaction lives on in both MTAs',
        FULL,
        'C, H, M data=r, R, T, R, Q',
        'Occccrc',
        'Occccr',
      ],
      ['end of message straight after DATA', FULL, 'C, H, M, R, T, E, Q', 'Occcccc', 'Occccc'],
      ['CONNECT after an unknown command', FULL, 'U, C, H, Q', 'Occc', 'Occ'],
      ['RCPT without MAIL: closed, so that nobody waits', FULL, 'C, H, R, M, Q', 'Occ', 'Occc'],
      ['a header without MAIL: closed', ANSWERED, 'C, H, L, M, Q', 'Occ', 'Occc'],
      ['QUIT_NC in a message is honoured', FULL, 'C, H, M, K, C, H, Q', 'Occccc', 'Occcc'],
      ['second CONNECT: the next session', FULL, 'C, H, C, H, Q', 'Occcc', 'Occc'],
    ];
  for (const [why, offer, lines, we, they] of rows) {
    test(why, async () => {
      const stream = streamOf(offer, script(lines));
      const [mine, libmilters] = await Promise.all([
        MtaSide.pour(servers.ours.port, stream),
        MtaSide.pour(servers.theirs(offer), stream),
      ]);
      assert.deepEqual([lettersOf(mine), lettersOf(libmilters)], [we, they]);
    });
  }
});
