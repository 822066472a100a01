/**
 * What Postfix and Sendmail understand by an address: the mailbox in {mail_addr} and {rcpt_addr}.
 *
 * Both read on in the local part of an address of their own: `user%b.example@own.example`, `b.example!user`,
 * `"user@b.example"@own.example`. Which domains are their own is their configuration; taken here for own are the host's
 * name and the domain to which a client sends.
 *
 * Sources: Postfix src/trivial-rewrite/{rewrite,resolve}.c with default parameters; ruleset 3 of sendmail cf/m4/proto.m4;
 * both seen at work.
 */
import {
  domainOf,
  formatMailbox,
  type Mailbox,
  readPath,
  readPathWithoutGroups,
} from '../milter/envelope-address.ts';
import type { MtaKind } from './client-reply.ts';

/**
 * The mailbox as the macro shows it, `''` for the null sender. Postfix writes it in lower case, with its own domain where
 * there is none; Sendmail leaves a local user without a domain.
 *
 * @param path as the client wrote it
 * @param host the MTA's own name
 * @param toOwnDomain the domain of the path is the MTA's own
 */
export function understoodBy(kind: MtaKind, path: string, host: string, toOwnDomain: boolean): string {
  return kind === 'postfix'
    ? understoodByPostfix(path, host, toOwnDomain)
    : understoodBySendmail(path, host, toOwnDomain);
}

function understoodByPostfix(path: string, host: string, toOwnDomain: boolean): string {
  const read = readPath(path);
  if (read.local === '') return read.domain === '' ? '' : `mailer-daemon@${read.domain}`;
  const own = toOwnDomain ? read.domain : host;
  let mailbox = read;
  for (;;) {
    const isOwn = mailbox.domain === own || mailbox.domain === domainOf(host) || isLiteral(mailbox);
    const inner =
      mailbox.domain === '' || isOwn ? innerMailbox(mailbox.local) : percentMailbox(mailbox, read);
    if (!inner) break;
    mailbox = inner;
  }
  return formatMailbox({ ...mailbox, domain: mailbox.domain || domainOf(host) }).toLowerCase();
}

function understoodBySendmail(path: string, host: string, toOwnDomain: boolean): string {
  const read = readPathWithoutGroups(path);
  const own = toOwnDomain && !isLiteral(read) ? read.domain : host;
  let mailbox = read;
  // It reads on in quoted strings, and leaves alone what a backslash stands before.
  while (!path.includes('\\@')) {
    const isOwn = mailbox.domain === own || mailbox.domain === domainOf(host);
    const inner =
      mailbox.domain === '' || isOwn ? innerMailbox(mailbox.local) : percentMailbox(mailbox, read);
    // A host without a dot is one of UUCP: the path stays.
    if (!inner || (!inner.domain.includes('.') && mailbox.local.includes('!'))) break;
    mailbox = inner;
  }
  return formatMailbox(mailbox);
}

function isLiteral({ domain }: Mailbox): boolean {
  return domain.startsWith('[');
}

/** The next hop of `a%b%c`, once the first has been read on in. */
function percentMailbox(mailbox: Mailbox, read: Mailbox): Mailbox | undefined {
  return mailbox !== read && /^[^@!]*%[^@!]*$/.test(mailbox.local) ? innerMailbox(mailbox.local) : undefined;
}

/** `a@b`, `b!a` or `a%b` in a local part; undefined where there is none. */
function innerMailbox(local: string): Mailbox | undefined {
  const [, a, b] = /^(.*)@(.*)$/s.exec(local) ?? [];
  const [, site, user] = /^(.*?)!(.*)$/s.exec(local) ?? [];
  const [, c, d] = /^(.*)%(.*)$/s.exec(local) ?? [];
  const inner = { local: a ?? user ?? c ?? '', domain: domainOf(b ?? site ?? d ?? '') };
  return inner.domain === '' ? undefined : inner;
}
