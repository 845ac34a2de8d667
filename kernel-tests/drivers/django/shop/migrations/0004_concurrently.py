from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0003_alter")]
    operations = [AddIndexConcurrently("Item", models.Index(fields=["price"], name="shop_price"))]
