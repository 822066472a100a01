/** Mail of many kinds, sent to a milter over a socket: what a recording is made of. */
import { Mta } from '../helpers/mta.ts';

export interface Mail {
  readonly ip: string;
  readonly sender: string;
  readonly rcpt: string;
  readonly subject: string;
  /** In packets of at most 65,535 bytes. */
  readonly body?: readonly Buffer[];
}

/** @returns the answer that refused it, or to the end of the message */
export async function sendMail(address: { readonly port: number }, mail: Mail): Promise<string> {
  const mta = await Mta.open(address);
  await mta.connect(mail.ip, 'mx.example.net');
  await mta.helo('mx.example.net');
  mta.macro('M', 'i', 'Q1');
  await mta.mail(`<${mail.sender}>`, 'SIZE=100');
  const { letter, text } = await mta.rcpt(`<${mail.rcpt}>`);
  if (letter !== 'c') {
    await mta.quit();
    return text || letter;
  }
  await mta.data();
  const end = await mta.content(
    [
      ['From', ` ${mail.sender}`],
      ['Subject', ` ${mail.subject}`],
    ],
    ...(mail.body ?? ['Hello,\r\n\r\nthis is a message.\r\n']),
  );
  await mta.quit();
  return end.text || end.letter;
}

/** A few at a time. */
export async function sendAll(address: { readonly port: number }, mails: readonly Mail[]): Promise<void> {
  const queue = [...mails];
  const worker = async (): Promise<void> => {
    for (let mail = queue.shift(); mail; mail = queue.shift()) await sendMail(address, mail);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}
