"""PJSIP objects pushed at run time."""

from dcx_ari.ari.errors import BadRequest, Gone
from tests.contract.world import World, refused

CLASS = "res_pjsip"


async def an_object_is_put_changed_and_deleted(world: World) -> None:
    asterisk, name = world.ari.asterisk, world.id("aor")
    fields = [{"attribute": "max_contacts", "value": "3"}]
    made = await asterisk.update_object(CLASS, "aor", name, fields=fields)
    shown = {field.attribute: field.value for field in made}
    assert (shown["max_contacts"], shown["default_expiration"]) == ("3", "3600")
    await asterisk.update_object(CLASS, "aor", name, fields=[{"attribute": "default_expiration", "value": "60"}])
    shown = {field.attribute: field.value for field in await asterisk.get_object(CLASS, "aor", name)}
    assert (shown["max_contacts"], shown["default_expiration"]) == ("3", "60")
    await asterisk.delete_object(CLASS, "aor", name)
    async with refused(Gone, status=404):
        await asterisk.delete_object(CLASS, "aor", name)
    async with refused(Gone, status=404):
        await asterisk.get_object(CLASS, "aor", name)


async def fields_and_types_are_checked(world: World) -> None:
    asterisk, name = world.ari.asterisk, world.id("aor")
    async with refused(BadRequest, status=400):
        await asterisk.update_object(CLASS, "aor", name, fields=[{"attribute": "nonsense", "value": "1"}])
    async with refused(Gone, status=404):
        await asterisk.update_object(CLASS, "no-such-type", name, fields=[])
    async with refused(Gone, status=404):
        await asterisk.update_object("res_nothing", "aor", name, fields=[])


async def an_endpoint_is_listed(world: World) -> None:
    asterisk, name = world.ari.asterisk, world.id("phone").replace(".", "-")
    await asterisk.update_object(CLASS, "aor", name, fields=[])
    fields = [{"attribute": "aors", "value": name}, {"attribute": "allow", "value": "!all,ulaw"}]
    await asterisk.update_object(CLASS, "endpoint", name, fields=fields)
    shown = await world.ari.endpoints.get("PJSIP", name)
    assert (shown.technology, shown.resource) == ("PJSIP", name)
    assert name in [endpoint.resource for endpoint in await world.ari.endpoints.list_by_tech("PJSIP")]
    await asterisk.delete_object(CLASS, "endpoint", name)
    await asterisk.delete_object(CLASS, "aor", name)
    await world.quiet()
    async with refused(Gone, status=404):
        await world.ari.endpoints.get("PJSIP", name)


async def asterisk_says_when_it_started(world: World) -> None:
    info = await world.ari.asterisk.get_info(only="status")
    assert info.status is not None
    assert info.status.startup_time
    assert (await world.ari.asterisk.ping()).ping == "pong"
