// A page of a headless Firefox, by WebDriver BiDi: node web/test/firefox.js PROGRAM ADDRESS
// A line of its input is an expression as JSON, of a promise; a line of its output what that gives, as JSON.

import { createInterface } from "node:readline";

import puppeteer from "puppeteer-core";

const [executablePath, address] = process.argv.slice(2);
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, protocolTimeout: 120_000 });
try {
  const page = await browser.newPage();
  await page.goto(address);
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await page.evaluate(JSON.parse(line))));
  }
} finally {
  await browser.close();
}
