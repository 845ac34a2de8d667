from django.db import migrations


def fill(apps, schema_editor):
    shelf = apps.get_model("shop", "Shelf").objects.create(name="filled", rows=[1, 2])
    items = apps.get_model("shop", "Item").objects
    for i in range(30):
        items.create(shelf=shelf, name=f"item {i}", price=i)
    assert items.filter(price__gte=10).count() == 20


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
