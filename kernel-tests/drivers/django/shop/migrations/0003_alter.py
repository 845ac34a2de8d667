from django.db import migrations, models


def check(apps, schema_editor):
    """Reads in the transaction that has altered the table, whose types are others now."""
    last = apps.get_model("shop", "Item").objects.order_by("id").last()
    assert (last.name, str(last.price), last.facts) == ("item 29", "29.00", {}), (last.name, last.price, last.facts)


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_fill")]
    operations = [
        migrations.AlterField("Item", "price", models.DecimalField(decimal_places=2, max_digits=10)),
        migrations.AddField("Item", "facts", models.JSONField(default=dict)),
        migrations.AlterField("Item", "name", models.CharField(db_index=True, max_length=100)),
        migrations.RunSQL("ANALYZE shop_item", migrations.RunSQL.noop),
    ]


# PostgreSQL does not alter a table of which there are deferred triggers to fire.
Migration.operations.insert(0, migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop))
Migration.operations.append(migrations.RunPython(check, migrations.RunPython.noop))
