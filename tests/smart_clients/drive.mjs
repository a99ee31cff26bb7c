// Drives Chromium through one of our flows as a person does, and tells what the page says at the end, as JSON.
import puppeteer from "puppeteer-core";
const told = JSON.parse(process.argv[2]);
const browser = await puppeteer.launch({ executablePath: told.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const page = await (await browser.createBrowserContext()).newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(error.message));
page.on("console", (message) => { if (message.text().includes("Content Security Policy")) errors.push(message.text()); });
const press = (what) => Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(what)]);
const enter = async () => {
  await page.type("#name", told.user);
  await page.type("#password", told.password);
  await press("main button.primary");
};
const result = async () => {
  await page.waitForFunction(() => document.querySelector("#told")?.textContent.startsWith("{"), { timeout: 30000 });
  return JSON.parse(await page.$eval("#told", (each) => each.textContent));
};
const flows = {
  async standalone() {
    await page.goto(told.url);
    await page.waitForSelector("#name");
    await enter();
    await page.type("#text", told.search);
    await press(".search button");
    await press("button.person");
    for (const scope of told.without || []) await page.click(`input[value="${scope}"]`);
    await press("button[value=allow]");
    return result();
  },
  async ehr() {
    await page.goto(`${told.root}/auth/launch`);
    await enter();
    await page.goto(`${told.root}/auth/launch`);
    await press(`button[name=client][value="${told.client}"]`);
    await press("button.person");
    await page.waitForSelector("button[value=allow]");
    await press("button[value=allow]");
    return result();
  },
  async denied() {
    await page.goto(told.url);
    await page.waitForSelector("#name");
    await press("form[action=deny] button");
    return result();
  },
  async passkey() {
    const devtools = await page.createCDPSession();
    await devtools.send("WebAuthn.enable");
    const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
    const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
    await page.goto(`${told.root}/auth/login`);
    await enter();
    await page.type("#label", "Key of the test");
    await press("form[data-passkey=create] button");
    const listed = await page.$eval("main", (main) => main.innerText);
    await press("form[action=logout] button");
    await press("form[data-passkey=get] button");
    const again = await page.$eval("h1", (each) => each.innerText);
    await press("form[action=logout] button");
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    await page.click("form[data-passkey=get] button");
    await page.waitForSelector("[data-failed]:not([hidden])", { timeout: 70000 });
    return { listed, again };
  },
};
try {
  const found = await flows[told.flow]();
  console.log(JSON.stringify({ found, errors }));
} catch (error) {
  console.log(JSON.stringify({ failed: String(error), at: page.url().split("?")[0], page: await page.evaluate(() => document.body.innerText).catch(() => ""), errors }));
} finally {
  await browser.close();
}
